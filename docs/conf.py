"""The Sphinx configuration of the site, used by ``make site``."""

import os
from typing import Any

from course import WORDS

project = "Saving and loading PyTorch models"
author = "the authors of the course"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
extensions += ["sphinx_copybutton", "site_extension"]
language = "en"

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "off"  # show the stored outputs
nb_render_error_lexer = "text"

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
add_module_names = False

html_theme = "sphinx_book_theme"
html_title = project
templates_path = ["templates"]
html_static_path = ["static"]
html_favicon = "static/icon.svg"
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
# The mode "auto" follows the reader's system.
html_context: dict[str, Any] = {"default_mode": "auto", "words": WORDS}
html_use_index = html_domain_indices = False
html_theme_options: dict[str, Any] = {
    "navbar_persistent": [],
    "max_navbar_depth": 1,
    "show_toc_level": 2,  # the cases under "When it goes wrong" have headings of this level
    "use_download_button": False,  # each notebook has a link, which says what it needs
    "use_fullscreen_button": False,
    "pygments_dark_style": "github-dark",
    "footer_content_items": ["course-footer.html"],
}
copybutton_selector = "div[class*=highlight-]:not(.output) > div.highlight > pre"  # no outputs

if "GITHUB_REPOSITORY" in os.environ:  # set on GitHub's machines
    repository = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
    html_theme_options |= {"repository_url": repository, "repository_provider": "github"}
