"""Order and appearance of the gallery of examples."""

from pathlib import Path

SECTIONS = ["basics", "influence", "evaluation", "scale"]
FIRST = ["plot_forget_user", "plot_pipeline"]  # within a section; the others by name


def section_key(folder):
    """Order sections as a reader meets them; one that is not named comes last."""
    name = Path(folder).name
    return (SECTIONS.index(name) if name in SECTIONS else len(SECTIONS), name)


def script_key(name):
    """Order the scripts of a section."""
    stem = Path(name).stem
    return (FIRST.index(stem) if stem in FIRST else len(FIRST), stem)


def use_figure_style(gallery_conf, fname):
    """Sharp figures on white, which read on a dark page as well."""
    import matplotlib

    matplotlib.rcParams.update({"figure.dpi": 110, "savefig.facecolor": "white"})
