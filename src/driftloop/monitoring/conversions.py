"""Conversions of units that feeds are known to change without notice: after = factor x before + offset."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Conversion:
    """One affine change of unit."""

    name: str
    factor: float
    offset: float = 0.0

    def back(self, value: float) -> float:
        """The value in the unit before."""
        return (value - self.offset) / self.factor


def _both(factor: float, there: str, back: str) -> list[Conversion]:
    return [Conversion(there, factor), Conversion(back, 1 / factor)]


def _times(factor: float, example: str) -> list[Conversion]:
    there, back = (f"times {factor:g}", f"divided by {factor:g}")
    units = example.split(" to ")
    return _both(factor, f"{there} (such as {example})", f"{back} (such as {units[1]} to {units[0]})")


CONVERSIONS: tuple[Conversion, ...] = (
    *_times(1000, "kilometres to metres"),
    *_times(100, "shares to per cent"),
    *_times(60, "hours to minutes"),
    *_times(10, "centimetres to millimetres"),
    *_times(3600, "hours to seconds"),
    *_times(24, "days to hours"),
    *_times(1e6, "millions to units"),
    *_times(12, "years to months"),
    *_times(7, "weeks to days"),
    *_times(30.4375, "months to days"),
    *_times(365.25, "years to days"),
    *_times(86400, "days to seconds"),
    Conversion("Fahrenheit to Celsius", 5 / 9, -160 / 9),
    Conversion("Celsius to Fahrenheit", 9 / 5, 32.0),
    Conversion("Celsius to Kelvin", 1.0, 273.15),
    Conversion("Kelvin to Celsius", 1.0, -273.15),
    Conversion("Fahrenheit to Kelvin", 5 / 9, 273.15 - 160 / 9),
    Conversion("Kelvin to Fahrenheit", 9 / 5, -459.67),
    *_both(1.609344, "miles to kilometres", "kilometres to miles"),
    *_both(0.44704, "miles per hour to metres per second", "metres per second to miles per hour"),
    *_both(3.6, "metres per second to kilometres per hour", "kilometres per hour to metres per second"),
    *_both(1.150779, "knots to miles per hour", "miles per hour to knots"),
    *_both(0.514444, "knots to metres per second", "metres per second to knots"),
    *_both(1.852, "knots to kilometres per hour", "kilometres per hour to knots"),
    *_both(0.3048, "feet to metres", "metres to feet"),
    *_both(25.4, "inches to millimetres", "millimetres to inches"),
    *_both(2.54, "inches to centimetres", "centimetres to inches"),
    *_both(0.45359237, "pounds to kilograms", "kilograms to pounds"),
    *_both(3.785411784, "gallons to litres", "litres to gallons"),
    *_both(0.0295299830714, "hectopascals to inches of mercury", "inches of mercury to hectopascals"),
    *_both(0.750061683, "hectopascals to millimetres of mercury", "millimetres of mercury to hectopascals"),
)
