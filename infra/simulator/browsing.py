"""What a shopper does on a visit: looks, compares, fills the cart, buys, sometimes changes their mind."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from random import Random

from contracts.adapters.wire import Record
from contracts.fields import money
from infra.simulator.catalog import CURRENCY, Catalog
from infra.simulator.chance import Integers
from infra.simulator.shoppers import FAVOURITES, Shoppers
from infra.simulator.visit import Visit
from infra.simulator.words import BRANDS, LEAVES

CURIOUS_SHARE = 0.1
PREFERENCE_SHARE = 0.05
UNMUTE_SHARE = 0.2
FAVOURITE_WEIGHTS = (0.6, 0.3, 0.1)
LIST_SIZE = 6
MOST_LOOKS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Browser:
    """Writes the events of shopping into visits; `prices` are those of the day ([items], minor units)."""

    catalog: Catalog
    shoppers: Shoppers
    prices: Integers

    def shop(self, visit: Visit) -> None:
        """A whole visit, from the first page to the last."""
        rng, leaf = visit.rng, self._intent(visit)
        visit.add("page_view")
        self._maybe_log_in(visit, 0.3)
        cart: list[int] = []
        for _ in range(1 + min(int(rng.expovariate(0.35)), MOST_LOOKS)):
            item = self._look(visit, leaf)
            if rng.random() < 0.45:
                self._write(visit, "add_to_cart", [item], quantity=rng.choice((1, 1, 1, 2, 6)))
                cart.append(item)
            elif rng.random() < 0.12:
                self._write(visit, "add_to_wishlist", [item])
        if cart:
            self._check_out(visit, cart)
        if rng.random() < PREFERENCE_SHARE:
            visit.add("preference_set", preference=self._preference(visit, leaf))
        if visit.logged_in and rng.random() < 0.1:
            visit.wait(10)
            visit.add("logout")

    def draw_item(self, rng: Random, shopper: int, leaf: int) -> int:
        """An item of the leaf, as this shopper would choose."""
        items, chance = self.catalog.draw[leaf, int(self.shoppers.style[shopper])]
        return int(items[min(bisect_right(chance, rng.random()), len(items) - 1)])

    def draw_leaf(self, rng: Random, shopper: int) -> int:
        """What a shopper comes for: one of the favourites, or something new."""
        if rng.random() < CURIOUS_SHARE:
            return rng.randrange(len(LEAVES))
        place = rng.choices(range(FAVOURITES), FAVOURITE_WEIGHTS)[0]
        return int(self.shoppers.favourites[shopper][place])

    def item(self, n: int, quantity: int = 1, **fields: object) -> Record:
        """The wire form of one item of an event."""
        price = money(int(self.prices[n]))
        return {
            "item_id": self.catalog.ids[n],
            "price": price,
            "currency": CURRENCY,
            "quantity": quantity,
            "item_category": LEAVES[self.catalog.leaf[n]][0],
            "item_brand": BRANDS[self.catalog.brand[n]],
            **fields,
        }

    def _intent(self, visit: Visit) -> int:
        return self.draw_leaf(visit.rng, visit.shopper)

    def _preference(self, visit: Visit, leaf: int) -> Record:
        """The shopper wants to see no more, or again, of an item or of a category."""
        rng = visit.rng
        action = "unmute" if rng.random() < UNMUTE_SHARE else "mute"
        if rng.random() < 0.5:
            return {"action": action, "scope": "category", "value": LEAVES[rng.randrange(len(LEAVES))][0]}
        item = self.catalog.ids[self.draw_item(rng, visit.shopper, leaf)]
        return {"action": action, "scope": "item", "value": item}

    def _look(self, visit: Visit, leaf: int) -> int:
        """Find an item by search or in a list, and look at it."""
        rng = visit.rng
        item = self.draw_item(rng, visit.shopper, leaf)
        visit.wait(15)
        if rng.random() < 0.25:
            visit.add("search", search_term=rng.choice(LEAVES[leaf][1]))
        elif rng.random() < 0.6:
            shown = list(
                dict.fromkeys(self.draw_item(rng, visit.shopper, leaf) for _ in range(LIST_SIZE)).keys()
                | {item}
            )
            shown.sort()
            listed = [self.item(n, index=place, item_list_id=f"leaf-{leaf}") for place, n in enumerate(shown)]
            visit.add("view_item_list", listed)
            visit.wait(5)
            visit.add("select_item", [listed[shown.index(item)]])
        visit.wait(3)
        seconds = 3 + rng.expovariate(1 / 20)
        engagement, depth = int(min(seconds, 300) * 1000), rng.randrange(10, 101)
        visit.add("view_item", [self.item(item)], engagement_ms=engagement, scroll_depth=depth)
        visit.at += engagement * 1000
        return item

    def _check_out(self, visit: Visit, cart: list[int]) -> None:
        """From the cart to the purchase; some leave on the way, some send a piece back at once."""
        rng = visit.rng
        visit.wait(10)
        visit.add("view_cart")
        if len(cart) > 1 and rng.random() < 0.2:
            self._write(visit, "remove_from_cart", [cart.pop(rng.randrange(len(cart)))])
        if rng.random() > 0.7:
            return
        visit.wait(8)
        visit.add("begin_checkout", [self.item(n) for n in cart])
        self._maybe_log_in(visit, 0.9)
        self._write(visit, "purchase", cart)
        if rng.random() < 0.06:
            visit.wait(300)
            self._write(visit, "refund", [rng.choice(cart)])

    def _write(self, visit: Visit, name: str, items: list[int], quantity: int = 1) -> None:
        visit.wait(8)
        visit.add(name, [self.item(n, quantity) for n in items])

    def _maybe_log_in(self, visit: Visit, chance: float) -> None:
        """A member who is not logged in may do so; guests never do."""
        if visit.logged_in or self.shoppers.guest[visit.shopper] or visit.rng.random() > chance:
            return
        visit.wait(6)
        visit.logged_in = True
        visit.add("login")
