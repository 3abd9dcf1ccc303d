"""Comparisons for people: tables on the console, in Markdown and LaTeX, and plots."""
