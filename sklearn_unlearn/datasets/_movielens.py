"""Download of the MovieLens ratings."""

from __future__ import annotations

import io
import os
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from ._delimited import TextOptions, read_delimited
from ._events import Events

__all__ = ["fetch_movielens"]

_BASE_URL = "https://files.grouplens.org/datasets/movielens/"
_POSITIONS = {"user": 0, "item": 1, "value": 2, "timestamp": 3}
_GUESSED = dict.fromkeys(_POSITIONS)


class _Release(NamedTuple):
    sha256: str
    member: str
    sep: str
    columns: dict[str, Any]


_RELEASES = {
    "ml-latest-small": _Release(
        "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        "ratings.csv",
        ",",
        _GUESSED,
    ),
    "ml-100k": _Release(
        "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        "u.data",
        "\t",
        _POSITIONS,
    ),
    "ml-1m": _Release(
        "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        "ratings.dat",
        "::",
        _POSITIONS,
    ),
}


def fetch_movielens(
    name: str = "ml-latest-small",
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    base_url: str | None = None,
    known_hash: str | None = None,
    progress: bool = True,
) -> Events:
    r"""Load MovieLens ratings; download them on first use.

    The data are GroupLens's, under terms of their own (no commercial use, no redistribution without
    permission): https://grouplens.org/datasets/movielens/. Nothing of them comes with this package.

    Parameters
    ----------
    name : {"ml-latest-small", "ml-100k", "ml-1m"}, default="ml-latest-small"
        Release.
    data_home : path-like or None, default=None
        Folder of the archive. None: the environment variable ``SKLEARN_UNLEARN_DATA``, else the
        user's cache folder.
    download_if_missing : bool, default=True
        Whether to use the network. If False, the archive must be in `data_home`.
    base_url : str or None, default=None
        Folder to download from, such as a mirror. None: the environment variable
        ``SKLEARN_UNLEARN_MOVIELENS_URL``, else GroupLens.
    known_hash : str or None, default=None
        Digest of the archive, as ``"sha256:..."`` or ``"md5:..."``. None: the SHA-256 of the
        release this version knows. Give the new digest if GroupLens publishes another "latest".
    progress : bool, default=True
        Show a progress bar (needs tqdm).

    Returns
    -------
    events : Events
        Integer ids as in the release, ratings, and timestamps in seconds since 1970.

    Raises
    ------
    FileNotFoundError
        The archive is not there and may not be downloaded.
    ConnectionError
        The download failed; the message says how to do it by hand.
    ValueError
        The name is unknown, the digest differs, or the archive does not hold the ratings.

    Examples
    --------
    An archive downloaded by hand, here a made-up one, is found in `data_home`:

    >>> import hashlib, pathlib, tempfile, zipfile
    >>> from sklearn_unlearn.datasets import fetch_movielens
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "ml-100k.zip")
    ...     with zipfile.ZipFile(path, "w") as archive:
    ...         archive.writestr("ml-100k/u.data", "1\t50\t5\t881250949\n")
    ...     digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    ...     fetch_movielens(
    ...         "ml-100k", data_home=folder, download_if_missing=False, known_hash=digest
    ...     )
    <Events: 1 events with timestamps>
    """
    if name not in _RELEASES:
        raise ValueError(
            f"Got name={name!r}; expected one of {sorted(_RELEASES)}. For another release, "
            "download it by hand and use load_interactions."
        )
    import pooch

    home = data_home or os.environ.get("SKLEARN_UNLEARN_DATA") or pooch.os_cache("sklearn-unlearn")
    path = Path(home).expanduser() / f"{name}.zip"
    known_hash = known_hash or "sha256:" + _RELEASES[name].sha256
    base = base_url or os.environ.get("SKLEARN_UNLEARN_MOVIELENS_URL") or _BASE_URL
    url = f"{base.rstrip('/')}/{name}.zip"
    if not _is_intact(path, known_hash):
        if not download_if_missing:
            what = "has another digest than expected" if path.is_file() else "does not exist"
            raise FileNotFoundError(
                f"The archive '{path}' {what} and download_if_missing=False; expected it there. "
                f"Download {url} to that path, or allow the download."
            )
        _download(url, path, known_hash, progress)
    return _read_archive(path, _RELEASES[name])


def _is_intact(path: Path, known_hash: str) -> bool:
    import pooch

    algorithm, _, digest = known_hash.rpartition(":")
    if not path.is_file():
        return False
    return pooch.file_hash(str(path), alg=algorithm or "sha256") == digest.lower()


def _download(url: str, path: Path, known_hash: str, progress: bool) -> None:
    """Fetch a file and check its digest; a file that fails is not left behind."""
    import pooch
    import requests

    downloader = pooch.HTTPDownloader(progressbar=progress and _has_tqdm(), timeout=30)
    try:
        pooch.retrieve(
            url, known_hash, fname=path.name, path=str(path.parent), downloader=downloader
        )
    except requests.RequestException as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = f"HTTP status {status}" if status else type(error).__name__
        raise ConnectionError(
            f"Could not download {url} ({reason}); expected the network and that address to "
            f"answer. Try again later, pass base_url= of a mirror, or download the archive by hand "
            f"to '{path}'."
        ) from error
    except ValueError as error:
        raise ValueError(
            f"The archive at {url} does not have the digest {known_hash}; expected the release "
            "this version knows. The download may be damaged: try again. If the release is a new "
            "one that you trust, pass its digest as known_hash=."
        ) from error


def _has_tqdm() -> bool:
    return find_spec("tqdm") is not None


def _read_archive(path: Path, release: _Release) -> Events:
    """Read the ratings straight from the archive; nothing is unpacked to disk."""
    member = f"{path.stem}/{release.member}"
    try:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            data = archive.read(member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"The archive '{path}' does not hold '{member}' ({type(error).__name__}); expected a "
            "MovieLens release. Delete the file and fetch it again."
        ) from error
    source = f"{path.name}:{member}"
    options = TextOptions(sep=release.sep)
    texts = read_delimited([(source, data, {})], release.columns, options, source)
    return Events(**texts.tables[0])
