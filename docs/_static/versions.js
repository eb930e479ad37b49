// The list of versions, read again where the site is served: an old build learns of newer ones.
document.addEventListener("DOMContentLoaded", async () => {
  const box = document.querySelector(".docs-versions");
  if (!box || !location.protocol.startsWith("http")) return;
  const answer = await fetch(box.dataset.versions).catch(() => null);
  if (!answer || !answer.ok) return;
  const home = box.querySelector("[aria-current]")?.href || "#";
  const entries = (await answer.json()).map((one) => {
    const link = document.createElement("a");
    link.className = "dropdown-item";
    link.href = one.url || home;
    link.textContent = one.name;
    if (one.version === box.dataset.version) link.setAttribute("aria-current", "true");
    const entry = document.createElement("li");
    entry.append(link);
    return entry;
  });
  box.querySelector(".dropdown-menu").replaceChildren(...entries);
});
