"""The models of each stage's `report.json`: what a stage writes, and what mails, pages and people read."""
