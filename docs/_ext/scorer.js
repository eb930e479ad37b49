// Order of what a search finds: the guide, then the API and the gallery; decision records last.
var Scorer = {
  score: ([docname, title, anchor, descr, score, filename, kind]) => {
    const asked = (new URLSearchParams(location.search).get("q") || "").trim().toLowerCase();
    const words = title.toLowerCase();
    let points = score;
    if (docname.startsWith("user_guide/")) points += 20;
    if (docname.startsWith("auto_examples/")) points += 5;
    if (docname.startsWith("decisions/")) points -= 1000;
    if (docname.startsWith("changes/")) points -= 500;
    if (docname.startsWith("user_guide/") && asked && !anchor) {
      if (words.startsWith(asked)) points += 100;
      else if (words.includes(asked)) points += 60;
    }
    return points;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
