"""What people look at: tables for four kinds of reader, small plots, and the listening page.

:mod:`~synthproxy.report.page` writes one self-contained HTML file, :mod:`~synthproxy.report.listening_folder` a folder
of a page and its many sounds, :mod:`~synthproxy.report.tables` gives a table as Markdown, CSV, LaTeX or terminal
output, :mod:`~synthproxy.report.plots` draws PNG figures. None of these computes a score or renders a preset: they are
handed finished numbers and sounds.
"""
