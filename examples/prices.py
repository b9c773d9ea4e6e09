"""A flow that does real work: monthly figures from daily prices of the S&P 500.

The data (daily prices from 1950 to 2015) ship inside the package `great-tables`.
"""

import csv
import statistics
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from penstock import flow, get_run_logger, task


@dataclass(frozen=True)
class Day:
    """One day of trading."""

    date: str
    open: float
    high: float
    low: float
    close: float
    volume: int


@dataclass(frozen=True)
class Month:
    """What became of one month."""

    month: str
    days: int
    close: float
    return_percent: float
    volatility_percent: float
    worst_day_percent: float


def data_file() -> Path:
    """The CSV file inside the installed package."""
    package = find_spec("great_tables")
    if package is None or package.origin is None:
        raise FileNotFoundError("great-tables is not installed; run `make setup`")
    return Path(package.origin).parent / "data" / "04-sp500.csv"


@task
def read_days(first_year: int, last_year: int) -> list[Day]:
    """The days of these years, oldest first."""
    days = []
    with data_file().open(newline="") as lines:
        for row in csv.DictReader(lines):
            if first_year <= int(row["date"][:4]) <= last_year:
                prices = (float(row[name]) for name in ("open", "high", "low", "close"))
                days.append(Day(row["date"], *prices, volume=int(float(row["volume"]))))
    return sorted(days, key=lambda day: day.date)


@task
def validate_days(days: list[Day]) -> int:
    """How many days there are; ValueError names the first day that cannot be true."""
    if not days:
        raise ValueError("there are no prices for these years")
    for yesterday, today in pairwise(days):
        if today.date == yesterday.date:
            raise ValueError(f"{today.date} is there twice")
    for day in days:
        if not day.low <= min(day.open, day.close) <= max(day.open, day.close) <= day.high:
            raise ValueError(f"{day.date}: low, open, close and high do not fit together")
        if day.volume <= 0:
            raise ValueError(f"{day.date}: nothing was traded")
    return len(days)


@task
def summarise_month(days: list[Day]) -> Month:
    """The figures of one month."""
    daily = [100 * (after.close / before.close - 1) for before, after in pairwise(days)]
    return Month(
        month=days[0].date[:7],
        days=len(days),
        close=days[-1].close,
        return_percent=100 * (days[-1].close / days[0].open - 1),
        volatility_percent=statistics.pstdev(daily),
        worst_day_percent=min(daily),
    )


@task(retries=2, retry_delay_seconds=0.5)
def write_table(months: list[Month], output: str) -> str:
    """Write the months as CSV; the first attempt fails, since the folder is not there yet.

    Shares that are mounted at the first access behave like this; a retry is the remedy.
    """
    path = Path(output)
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        raise FileNotFoundError(f"{path.parent} was not there; the next attempt will find it")
    with path.open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(["month", "days", "close", "return %", "volatility %", "worst day %"])
        for month in months:
            figures = (month.return_percent, month.volatility_percent, month.worst_day_percent)
            table.writerow(
                [month.month, month.days, f"{month.close:.2f}", *(f"{x:.2f}" for x in figures)]
            )
    return str(path)


def split_by_month(days: list[Day]) -> list[list[Day]]:
    """The days of each month, in order."""
    months: dict[str, list[Day]] = {}
    for day in days:
        months.setdefault(day.date[:7], []).append(day)
    return list(months.values())


@flow
def prices(
    output: str, first_year: int = 2008, last_year: int = 2009
) -> dict[str, str | int | float]:
    """Read, check, aggregate per month, write a table."""
    logger = get_run_logger()
    logger.info("Reading prices of %s to %s", first_year, last_year)
    days = read_days(first_year, last_year)
    count = validate_days(days)
    logger.info("%s days are valid", count)
    months = [future.result() for future in summarise_month.map(split_by_month(days))]
    path = write_table(months, output)
    worst = min(months, key=lambda month: month.return_percent)
    best = max(months, key=lambda month: month.return_percent)
    logger.info(
        "%s months; worst %s (%.1f %%), best %s (%.1f %%)",
        len(months),
        worst.month,
        worst.return_percent,
        best.month,
        best.return_percent,
    )
    return {"table": path, "days": count, "months": len(months), "worst": worst.month}
