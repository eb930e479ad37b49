"""
========================================
From a deletion request to a certificate
========================================

A shop serves recommendations from a table of events. A customer asks to be deleted. The request is
masked at once, forgotten with the next flush and entered in a ledger. The model and its exports are
searched for traces, the certificate is signed, and a backup that comes back is brought up to date
before it serves anyone. Every claim below is asserted, the model against a refit.
"""

# %%
# A table, a pipeline, a service
# ------------------------------
# The events are synthetic, written to a file and read again. Requests and ledger are in a store of
# SQLite; beside it lies the snapshot of the model that the service keeps up to date.

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone

from sklearn_unlearn import ALS
from sklearn_unlearn.audit import (
    DeletionCertificate,
    DeletionService,
    StaleModelError,
    audit_residue,
    generate_key,
    generate_signing_key,
    make_probe,
    verify,
    verify_ledger,
)
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
made = make_interactions(
    200, 80, n_interactions=4_000, n_factors=4, feedback="implicit", random_state=0
).tocoo()
pd.DataFrame(
    {
        "customer": [f"customer-{number:04d}" for number in made.row],
        "product": [f"product-{number:03d}" for number in made.col],
        "count": made.data,
    }
).to_csv(folder / "events.csv", index=False)

events = pd.read_csv(folder / "events.csv")
pipeline = make_recommender_pipeline(
    InteractionEncoder("customer", "product", "count"), ALS(regularization=40.0, random_state=0)
).fit(events)
assert pipeline.certify().certified  # the global optimum: what any converged refit gives

key = generate_key()  # of what the requests name; it belongs into a secret manager
store, snapshot = folder / "deletions.db", folder / "model.skops"
service = DeletionService(pipeline, store, snapshot, key=key)

# %%
# Two copies leave the service: a backup of the snapshot, and an export of the customers' vectors,
# such as an index is built from.

backup, exports = folder / "backup.skops", folder / "exports"
exports.mkdir()
shutil.copy(snapshot, backup)


def export_vectors():
    np.save(exports / "customers.npy", pipeline[-1].user_factors_)


export_vectors()

# %%
# The requests
# ------------
# One customer wants to be deleted, another asks for one purchase to go. Both are masked before
# `submit` returns. A request that is delivered twice is one request.

someone, other = "customer-0042", "customer-0007"
purchase = (other, events.loc[events["customer"] == other, "product"].iloc[0])
probe = make_probe(pipeline, {"users": [someone]})  # what to look for later; never written down

service.submit(users=[someone], request_id="ticket-1")
service.submit(users=[someone], request_id="ticket-1")
service.submit(interactions=[purchase], request_id="ticket-2")
assert [status.request_id for status in service.pending()] == ["ticket-1", "ticket-2"]
assert len(service.recommend(users=[someone])) == 0
places = {"model": None, "snapshot": [snapshot], "export": [exports]}


def traces():
    """Number of traces in each place: the model in memory, and files."""
    return [
        audit_residue(pipeline if where is None else None, probe, where or ()).count
        for where in places.values()
    ]


found = {"before the flush": traces()}
assert min(found["before the flush"]) > 0
assert purchase[1] not in set(service.recommend(users=[other], n_items=30)["product"])
print(f"ticket-1 is due on {service.status('ticket-1').due:%d %B %Y}")

# %%
# The flush
# ---------
# Both are forgotten in one batch, and the snapshot is replaced. The model is now that of a refit on
# a table without them, up to what the guarantee says.

flushed = service.flush()
report = flushed.report
print(f"{flushed.n_requests} requests, {report.n_interactions} interactions: {report.guarantee}")
assert flushed.n_requests == 2 and service.pending() == []
assert flushed.erased  # what the requests named is gone from the files of the store

gone = (events["customer"] == someone) | (
    (events["customer"] == other) & (events["product"] == purchase[1])
)
fitted, refit = clone(pipeline).fit(events), clone(pipeline).fit(events[~gone])
others, products = np.unique(events["customer"][~gone]), np.unique(events["product"])
pairs = {"customer": np.repeat(others, len(products)), "product": np.tile(products, len(others))}
target = refit.predict_pairs(pairs)
gap = np.linalg.norm(pipeline.predict_pairs(pairs) - target)
gap /= np.linalg.norm(fitted.predict_pairs(pairs) - target)
assert gap < 0.01
print(f"{gap:.2%} of the effect of both is left; doing nothing would leave 100 %")

# %%
# The ledger
# ----------
# It says for each request what was done, and names nobody. Each entry holds the hash of the one
# before. Whoever keeps its head elsewhere finds an end that was cut off as well.

for entry in service.ledger.entries():
    print(entry["sequence"], entry["action"], entry["request_id"], entry["n_interactions"])
head = service.ledger.head()
assert verify_ledger(store, head=head)
assert someone.encode() not in b"".join(path.read_bytes() for path in folder.glob("deletions.db*"))

# %%
# What is left elsewhere
# ----------------------
# The model and the new snapshot hold no trace. The export still holds the customer's vector, until
# it is written again.

report = audit_residue(pipeline, probe, [snapshot, exports])
print(report, sorted({finding.kind for finding in report.findings}))
assert all(place.endswith("customers.npy") for place in report.places) and report.count

found["after the flush"] = traces()
export_vectors()
found["export written anew"] = traces()
report = audit_residue(pipeline, probe, [snapshot, exports])
assert report.count == 0

# %%
# The certificate
# ---------------
# Signed JSON that anyone with the public key can verify offline, and a page to read. It says what
# the guarantee means, and what nobody looked at.

taken_in, entry = service.ledger.entries("ticket-1")
signing_key = generate_signing_key()
certificate = DeletionCertificate.from_entry(
    entry, key=signing_key, scope=["model", "snapshot", "export of vectors"], residue=report
)
(folder / "certificate.json").write_text(certificate.to_json(), encoding="utf-8")
(folder / "certificate.html").write_text(certificate.to_html(), encoding="utf-8")

text = (folder / "certificate.json").read_text(encoding="utf-8")
verified = verify(text, signing_key.public_key(), ledger_head=service.ledger)
assert verified.body["residual_count"] == 0 and someone not in text
assert "nobody looked" not in certificate.to_html()
print(certificate.to_markdown())  # the page says the same; a notebook shows it

# %%
# A backup comes back
# -------------------
# It holds the customer, so it is not served. The store keeps, encrypted and for thirty days, what
# was forgotten; a replay forgets it again.

service.close()
shutil.copy(backup, snapshot)
service = DeletionService(None, store, snapshot, key=key)
try:
    service.recommend(users=[other])
except StaleModelError as error:
    print(error)
else:
    raise AssertionError("the backup should not be served")
replayed = service.replay()
print(f"{replayed.n_interactions} interactions forgotten again")
assert service.is_current and len(service.recommend(users=[someone])) == 0
assert audit_residue(None, probe, [snapshot]).count == 0
assert verify_ledger(store, head=head)

service.close()
temporary.cleanup()

# %%
# The picture
# -----------
# Where the customer could be found, and when. Requests are masked from the first moment on; traces
# go with the flush, and from an export when it is written again.

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(figsize=(6.2, 3.6), layout="constrained")
    for shift, (name, counts) in enumerate(zip(places, zip(*found.values(), strict=True),
                                               strict=True)):  # fmt: skip
        bars = axes.bar(np.arange(3) + 0.26 * (shift - 1), counts, 0.24, label=name)
        axes.bar_label(bars)
    axes.set_xticks(range(3), labels=found)
    axes.set_ylabel("traces found")
    axes.margins(y=0.12)
    axes.legend(title="searched", loc="upper right", frameon=False)
    plt.show()
