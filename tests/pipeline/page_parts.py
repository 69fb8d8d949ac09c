"""Small pages for the browser, and what is read off them."""

from ftbench.tables import Heading, Paragraph, Table

UNFOLDED = "document.querySelectorAll('details').forEach(one => { one.open = true })"


def column(tab, place=0):
    """The texts of a column, top to bottom, of the rows that are shown."""
    return tab.value(f"[...document.querySelectorAll('tbody tr')].filter(r => !r.hidden).map(r => r.cells[{place}].textContent)")


def a_table(rows, headers=("name", "value"), caption="t. Scale offline."):
    return [("front", "Front", [Paragraph("p")]), ("study", "Study", [Heading("Part", 2), Table(caption, headers, rows)])]
