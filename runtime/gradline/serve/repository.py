"""Load the served models and follow their versions and pins on disk.

A request takes its model out of a dictionary once, so its whole answer is from one version. A new
version is loaded beside the old one and then replaces it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gradline.errors import GradlineError, InputError, PackageError
from gradline.model import load
from gradline.package.reading import read_package
from gradline.package.versions import PIN, folder_name, pinned_version, published_versions
from gradline.serve.metrics import ServerMetrics
from gradline.serve.protocol.served_model import ServedModel

LOADED_FILES = ("manifest.json", "model.onnx", "golden.json")
MAX_OTHERS = 8  # versions per model that stay loaded beside the current one
Stamp = tuple[tuple[str, int, int], ...]

log = logging.getLogger("gradline.serve")


@dataclass
class Entry:
    """One model."""

    folder: Path | None  # artifacts/<name>, whose versions are followed; None for a single one
    current: ServedModel  # answers the requests that name no version
    place: Path  # the version directory or file that `current` was loaded from
    stamp: Stamp  # of its files, when they were loaded or last compared with the loaded ones
    others: dict[str, ServedModel] = field(default_factory=dict)  # that requests have named
    refused: dict[int, Stamp] = field(default_factory=dict)  # versions that failed to load
    damaged: bool = False  # whether the files have changed since they were loaded
    pin_error: str = ""  # what is wrong with the pin


class Repository:
    """The served models by name.

    The paths are packages (artifacts/<name>), versions of them, ONNX files, or folders of packages.
    With a public key (a PEM file), only packages signed with its private key are served. Every
    package must have the given name, or by default the name of the folder of its versions.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        metrics: ServerMetrics,
        public_key: Path | None = None,
        name: str | None = None,
    ) -> None:
        self.models: dict[str, Entry] = {}
        self._unserved: dict[Path, object] = {}  # packages that failed to load, with their stamps
        self._lock = threading.Lock()
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

    def find(self, name: str, version: str) -> ServedModel | None:
        """Return a version of a model, loading it if needed; None if there is none."""
        entry = self.models[name]
        if version == entry.current.version:
            return entry.current
        with self._lock:
            return entry.others.get(version) or self._load_other(entry, version)

    def versions(self, name: str) -> list[str]:
        """List the versions of a model that requests can name."""
        entry = self.models[name]
        known = {int(entry.current.version)}
        if entry.folder is not None:
            known |= set(published_versions(entry.folder)) - set(entry.refused)
        return [str(number) for number in sorted(known)]

    def refresh(self) -> None:
        """Load what was published, pinned or unpinned since the last call."""
        with self._lock:
            for root in self._roots:
                self._add_new_packages(root)
            for name, entry in self.models.items():
                if entry.folder is not None:
                    self._follow(name, entry, entry.folder)
                self._check_files(name, self.models[name])

    def _add_new_packages(self, root: Path) -> None:
        known = {entry.folder for entry in self.models.values()}
        for place in _packages(root):
            stamps = [_stamp(place / str(version)) for version in published_versions(place)]
            state = (_stamp(place / PIN), stamps)
            if place in known or self._unserved.get(place) == state:
                continue
            try:
                self._add(place)
            except GradlineError as error:
                log.error("%s is not served: %s", place, error)
                self._unserved[place] = state

    def _add(self, place: Path) -> None:
        versions = published_versions(place)
        if versions:
            entry = self._load_newest(place, versions)
        else:
            served = ServedModel(load(place, public_key=self._public_key, name=self._name))
            entry = Entry(None, served, place, _stamp(place))
        name = entry.current.model.name
        if name in self.models:
            raise InputError(
                f"two models are named {name!r}", code="same-name", hint="serve one of them"
            )
        self._serve(entry)

    def _serve(self, entry: Entry) -> None:
        name = entry.current.model.name
        self.models[name] = entry
        self._metrics.serving(name, entry.current.version)

    def _load_newest(self, folder: Path, versions: list[int]) -> Entry:
        """Load the pinned version, or else the newest that loads."""
        refused: dict[int, Stamp] = {}
        for number in _candidates(folder, versions):
            try:
                return self._load(folder, number, refused)
            except GradlineError as error:
                last = error
        raise last

    def _load(self, folder: Path, number: int, refused: dict[int, Stamp]) -> Entry:
        """Load a version of artifacts/<name>; if that fails, note it in `refused` and raise."""
        place = folder / str(number)
        stamp = _stamp(place)
        try:
            name = folder_name(folder) if self._name is None else self._name
            served = ServedModel(load(place, public_key=self._public_key, name=name))
            return Entry(folder, served, place, stamp, refused=refused)
        except GradlineError as error:
            log.error("%s version %s is refused: %s", folder.name, number, error)
            refused[number] = stamp
            self._metrics.refused.labels(folder.name).inc()
            raise

    def _follow(self, name: str, entry: Entry, folder: Path) -> None:
        """Replace the current version if another one is pinned or newest now."""
        try:
            candidates = _candidates(folder, published_versions(folder))
        except PackageError as error:
            if entry.pin_error != str(error):
                log.error("%s keeps serving version %s: %s", name, entry.current.version, error)
            entry.pin_error = str(error)
            return
        entry.pin_error = ""
        for number in candidates:
            if str(number) == entry.current.version:
                return
            if entry.refused.get(number) == _stamp(folder / str(number)):
                continue
            with suppress(GradlineError):
                newer = self._load(folder, number, entry.refused)
                log.info("%s: version %s replaces version %s", name, number, entry.current.version)
                newer.others = entry.others
                newer.others.pop(str(number), None)
                newer.refused.pop(number, None)
                self._serve(newer)
                return

    def _check_files(self, name: str, entry: Entry) -> None:
        """Report if the files of the current version, which is served from memory, have changed.

        A new modification time alone proves nothing: the files are read again and compared.
        """
        stamp = _stamp(entry.place)
        if stamp == entry.stamp:
            return
        entry.stamp = stamp
        damaged = not self._is_unchanged(entry)
        if damaged and not entry.damaged:
            log.error("%s: the files of version %s changed on disk", name, entry.current.version)
        entry.damaged = damaged
        self._metrics.damaged.labels(name).set(damaged)

    def _is_unchanged(self, entry: Entry) -> bool:
        """Compare the files with those that were loaded, byte for byte."""
        loaded = entry.current.model.package
        try:
            found = read_package(entry.place, self._public_key)
        except GradlineError:
            return False
        return (found.manifest, found.onnx) == (loaded.manifest, loaded.onnx)

    def _load_other(self, entry: Entry, version: str) -> ServedModel | None:
        folder = entry.folder
        if folder is None or not version.isascii() or not version.isdigit():
            return None
        number = int(version) if len(version) < 19 else -1
        if str(number) != version or number not in published_versions(folder):
            return None
        if entry.refused.get(number) == _stamp(folder / version):
            return None
        try:
            served = self._load(folder, number, entry.refused).current
        except GradlineError:
            return None
        while len(entry.others) >= MAX_OTHERS:
            entry.others.pop(next(iter(entry.others)))
        entry.others[version] = served
        return served


def _candidates(folder: Path, versions: list[int]) -> list[int]:
    """List the pinned version, or else all, the newest first."""
    pinned = pinned_version(folder, versions)
    return [pinned] if pinned else versions[::-1]


def _is_root(path: Path) -> bool:
    """Return whether a path is a folder of packages."""
    known = ("manifest.json", "model.onnx")
    is_package = published_versions(path) or any((path / file).exists() for file in known)
    return path.is_dir() and not is_package


def _packages(root: Path) -> list[Path]:
    return sorted(place for place in root.glob("*") if published_versions(place))


def _stamp(place: Path) -> Stamp:
    """Return the name, size and modification time of the files that a model is loaded from."""
    files = [place] if place.is_file() else [place / file for file in LOADED_FILES]
    stamps = []
    for file in files:
        with suppress(OSError):
            found = file.stat()
            stamps.append((file.name, found.st_size, found.st_mtime_ns))
    return tuple(stamps)
