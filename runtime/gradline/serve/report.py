"""Send the report of a served package."""

from __future__ import annotations

from gradline.errors import PackageError
from gradline.package.files import Package
from gradline.package.reading import read_member
from gradline.serve.protocol.errors import RequestError
from gradline.serve.replies import HTML, Reply

FILE = "report.html"
# A package may come from anyone, and its report may hold scripts. In a sandbox the report has an
# origin of its own, so its scripts reach neither this server nor the page's token.
POLICY = (
    b"sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    b"style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def report_reply(package: Package) -> Reply:
    """Read the report; refuse one that was changed after it was published."""
    name = package.graph.name
    if FILE not in package.manifest.get("files", {}):
        raise RequestError(f"the model {name!r} has no report", 404)
    try:
        page = read_member(package.path, package.manifest, FILE)
    except PackageError:
        found = f"the report of {name!r} was changed or removed after it was published"
        raise RequestError(found, 404) from None
    return 200, [*HTML, (b"content-security-policy", POLICY)], page
