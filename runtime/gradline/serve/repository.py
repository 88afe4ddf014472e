"""The models that are served: loaded, proved, and followed as versions come and pins move.

A request takes a model out of a dictionary once, so that its answer is wholly of one version; a new
version is loaded beside the old one and then put in its place.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gradline.errors import GradlineError, InputError, PackageError
from gradline.model import load
from gradline.package.reading import read_package
from gradline.package.versions import PIN, folder_name, pinned_version, published_versions
from gradline.serve.metrics import Metrics
from gradline.serve.protocol.inference import Served

__all__ = ["Entry", "Repository"]

LOADED = ("manifest.json", "model.onnx", "golden.json")
KEPT = 8  # further versions of a model that stay loaded once they were asked for
Stamp = tuple[tuple[str, int, int], ...]

log = logging.getLogger("gradline.serve")


@dataclass
class Entry:
    """One model.

    Attributes:
        folder: artifacts/<name>, whose versions are followed; None for a single version or file.
        current: What is answered with where no version is named.
        place: The version directory or file that `current` was loaded from.
        stamp: Of the files that `current` was loaded from, when they were last the same.
        seen: Of the same files, when they were last read.
        others: Further versions, by number, that were asked for.
        refused: The files of versions that did not load, by number, as they were then.
        damaged: Whether the files that `current` was loaded from have changed since.
        fault: What is wrong with the pin, "" where nothing is.
    """

    folder: Path | None
    current: Served
    place: Path
    stamp: Stamp
    others: dict[str, Served] = field(default_factory=dict)
    refused: dict[int, Stamp] = field(default_factory=dict)
    seen: Stamp | None = None
    damaged: bool = False
    fault: str = ""


class Repository:
    """Models by name.

    Args:
        paths: Packages (artifacts/<name>), versions of them, ONNX files, or folders of packages.
        metrics: That are told of versions.
        public_key: A PEM file; where given, only what its owner signed is served.
        name: The name that the packages must have; by default the name of the folder that holds
            their versions, so that no package is served under another name.

    Raises:
        InputError: Where nothing is at a path, or two models have one name.
        PackageError: Where no version of a package can be loaded.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        metrics: Metrics,
        public_key: Path | None = None,
        name: str | None = None,
    ) -> None:
        self.models: dict[str, Entry] = {}
        self._unserved: dict[Path, object] = {}  # packages that did not load, as they were then
        self._loading = threading.Lock()
        self._metrics = metrics
        self._public_key = public_key
        self._name = name
        self._roots = [path for path in paths if _is_root(path)]
        for path in paths:
            for place in _packages(path) if _is_root(path) else [path]:
                self._add(place)
        if not self.models:
            raise InputError(
                "no package to serve", code="no-package", hint="give artifacts/NAME or artifacts"
            )

    def find(self, name: str, version: str | None) -> Served | None:
        """Return a model, of a version that may be named, or None; a version may be loaded now."""
        entry = self.models.get(name)
        if entry is None:
            return None
        if version is None or version == entry.current.version:
            return entry.current
        with self._loading:  # threads ask
            return entry.others.get(version) or self._load_other(entry, version)

    def versions(self, name: str) -> list[str]:
        """Return the versions of a model that can be asked for."""
        entry = self.models[name]
        known = {int(entry.current.version)}
        if entry.folder is not None:
            known |= set(published_versions(entry.folder)) - set(entry.refused)
        return [str(number) for number in sorted(known)]

    def refresh(self) -> None:
        """Load what was published, pinned or unpinned since; keep what does not load as it was."""
        with self._loading:
            for root in self._roots:
                self._look_into(root)
            for name, entry in self.models.items():
                if entry.folder is not None:
                    self._follow(name, entry, entry.folder)
                self._watch(name, entry)

    def _look_into(self, root: Path) -> None:
        """Serve the packages that are new in a folder; tell once of those that can't be."""
        known = {entry.folder for entry in self.models.values()}
        for place in _packages(root):
            found = [_stamp(place / str(version)) for version in published_versions(place)]
            state = (_stamp(place / PIN), found)
            if place in known or self._unserved.get(place) == state:
                continue
            try:
                self._add(place)
            except GradlineError as error:
                log.error("%s is not served: %s", place, error)
                self._unserved[place] = state

    def _add(self, place: Path) -> None:
        versions = published_versions(place)
        if not versions:
            served = self._load(place, None)
            entry = Entry(None, served, place, _stamp(place))
        else:
            entry = self._newest(place, versions)
        name = entry.current.model.name
        if name in self.models:
            raise InputError(
                f"two models are named {name!r}", code="same-name", hint="serve one of them"
            )
        self.models[name] = entry
        self._metrics.serving(name, entry.current.version)

    def _load(self, place: Path, folder: Path | None) -> Served:
        """Load a version; if `folder` is given, it is the version's artifacts/<name>."""
        name = folder_name(folder) if self._name is None and folder is not None else self._name
        return Served(load(place, public_key=self._public_key, name=name))

    def _newest(self, folder: Path, versions: list[int]) -> Entry:
        """Return the pinned version, else the newest that loads."""
        pinned = pinned_version(folder, versions)
        refused: dict[int, Stamp] = {}
        for number in [pinned] if pinned else reversed(versions):
            place = folder / str(number)
            try:
                served = self._load(place, folder)
            except GradlineError as error:
                self._refuse(folder, number, refused, error)
                last = error
            else:
                return Entry(folder, served, place, _stamp(place), refused=refused)
        raise last

    def _follow(self, name: str, entry: Entry, folder: Path) -> None:
        """Load the version that is pinned or newest now, where it is another one."""
        versions = published_versions(folder)
        try:
            wanted = pinned_version(folder, versions)
        except PackageError as error:
            if entry.fault != str(error):
                log.error("%s keeps serving version %s: %s", name, entry.current.version, error)
            entry.fault = str(error)
            return
        entry.fault = ""
        tried = [wanted] if wanted else list(reversed(versions))
        for number in tried:
            place = folder / str(number)
            if str(number) == entry.current.version or entry.refused.get(number) == _stamp(place):
                if str(number) == entry.current.version:
                    return
                continue
            stamp = _stamp(place)
            try:
                served = self._load(place, folder)
            except GradlineError as error:
                self._refuse(folder, number, entry.refused, error)
                continue
            log.info("%s: version %s is served, %s was", name, number, entry.current.version)
            entry.refused.pop(number, None)
            entry.others.pop(str(number), None)
            entry.current, entry.place, entry.stamp = served, place, stamp
            entry.seen, entry.damaged = None, False
            self._metrics.serving(name, served.version)
            return

    def _refuse(
        self, folder: Path, number: int, refused: dict[int, Stamp], error: GradlineError
    ) -> None:
        log.error("%s version %s is refused: %s", folder.name, number, error)
        refused[number] = _stamp(folder / str(number))
        self._metrics.refused(folder.name)

    def _watch(self, name: str, entry: Entry) -> None:
        """Tell where the files change of what is served, from memory, all the same.

        A time of change alone tells nothing: files that were copied or touched are read again.
        """
        stamp = _stamp(entry.place)
        damaged = entry.damaged
        if stamp == entry.stamp:
            damaged = False
        elif stamp != entry.seen:
            entry.seen = stamp
            damaged = not self._is_same(entry)
            if not damaged:
                entry.stamp = stamp
        if damaged and not entry.damaged:
            log.error("%s: the files of version %s changed on disk", name, entry.current.version)
        if damaged != entry.damaged:
            entry.damaged = damaged
            self._metrics.damaged(name, damaged)

    def _is_same(self, entry: Entry) -> bool:
        """Return whether the files are, byte for byte, those that were loaded."""
        loaded = entry.current.model.package
        try:
            found = read_package(entry.place, self._public_key)
        except GradlineError:
            return False
        return (found.manifest, found.onnx) == (loaded.manifest, loaded.onnx)

    def _load_other(self, entry: Entry, version: str) -> Served | None:
        if entry.folder is None or not version.isascii() or not version.isdigit():
            return None
        number = int(version) if len(version) < 19 else -1
        if str(number) != version or number not in published_versions(entry.folder):
            return None
        place = entry.folder / version
        if entry.refused.get(number) == _stamp(place):
            return None
        try:
            served = self._load(place, entry.folder)
        except GradlineError as error:
            self._refuse(entry.folder, number, entry.refused, error)
            return None
        while len(entry.others) >= KEPT:
            entry.others.pop(next(iter(entry.others)))
        entry.others[version] = served
        return served


def _is_root(path: Path) -> bool:
    """Return whether a path is a folder of packages, not a package."""
    known = ("manifest.json", "model.onnx")
    held = published_versions(path) or any((path / file).exists() for file in known)
    return path.is_dir() and not held


def _packages(root: Path) -> list[Path]:
    return sorted(place for place in root.glob("*") if published_versions(place))


def _stamp(place: Path) -> Stamp:
    """Return the name, size and time of change of the files that a model is loaded from."""
    files = [place] if place.is_file() else [place / file for file in LOADED]
    stamps = []
    for file in files:
        try:
            found = file.stat()
        except OSError:
            continue
        stamps.append((file.name, found.st_size, found.st_mtime_ns))
    return tuple(stamps)
