"""report.html: one page that shows an evaluation, in any browser and without a network.

gallery.py     the judgements as small pictures, made in threads while the next photographs are judged
content.py     what the page computes with: scores, curves, rates of false alarms
page.py        the page: what Python writes into it, and the style and the scripts that it holds
overview.py    a page of links to several reports
categories.py  that page for the categories in a folder of results
"""
