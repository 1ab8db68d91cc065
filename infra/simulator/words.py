"""The words of the shop: category paths with their products, styles, makers."""

from __future__ import annotations

# Leaf category → products in it, and the price of a usual one in minor units.
LEAVES: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("Home > Kitchen > Mugs", ("mug", "cup", "beaker"), 650),
    ("Home > Kitchen > Baking", ("cake tin", "whisk", "baking mould"), 990),
    ("Home > Kitchen > Boards", ("chopping board", "serving tray", "bread board"), 1450),
    ("Home > Living > Candles", ("candle", "lantern", "tealight holder"), 790),
    ("Home > Living > Cushions", ("cushion", "throw", "pouffe"), 2200),
    ("Home > Living > Clocks", ("wall clock", "alarm clock"), 1900),
    ("Home > Bath > Towels", ("towel", "bath mat", "flannel"), 1250),
    ("Home > Bath > Soap", ("soap", "soap dish", "bath salt"), 550),
    ("Garden > Pots", ("plant pot", "planter", "hanging basket"), 1350),
    ("Garden > Tools", ("trowel", "watering can", "garden fork"), 1800),
    ("Garden > Birds", ("bird feeder", "nest box", "bird bath"), 2100),
    ("Toys > Wooden", ("wooden train", "stacking blocks", "puzzle"), 1600),
    ("Toys > Soft", ("teddy bear", "soft rabbit", "hand puppet"), 1500),
    ("Toys > Games", ("board game", "card game", "dominoes"), 1750),
    ("Paper > Cards", ("greeting card", "postcard set", "gift tag"), 320),
    ("Paper > Books", ("notebook", "diary", "sketchbook"), 890),
    ("Paper > Wrap", ("wrapping paper", "ribbon", "gift box"), 430),
    ("Fashion > Bags", ("shopper bag", "rucksack", "wash bag"), 2600),
    ("Fashion > Scarves", ("scarf", "shawl", "hair band"), 1700),
    ("Fashion > Jewellery", ("necklace", "bracelet", "brooch"), 2300),
    ("Party > Tableware", ("paper plate set", "napkin set", "straw set"), 480),
    ("Party > Decoration", ("bunting", "garland", "balloon set"), 620),
    ("Season > Christmas", ("bauble", "advent calendar", "stocking"), 950),
    ("Season > Easter", ("egg hunt set", "spring wreath", "chick ornament"), 850),
)
STYLES: tuple[tuple[str, ...], ...] = (
    ("retro spot", "vintage", "fifties"),
    ("floral", "botanical", "meadow"),
    ("nordic", "plain", "linen"),
    ("bright", "neon", "rainbow"),
    ("rustic", "oak", "hand made"),
    ("star", "midnight", "silver"),
)
BRANDS = tuple(
    f"{first} {second}"
    for first in ("Alder", "Brook", "Cinder", "Dove", "Ember", "Fern")
    for second in ("& Co", "House", "Works", "Lane")
)
