"""Reports as Markdown, HTML, LaTeX and CSV."""
