"""`/shop`: a small shop over the real catalog, to click in and to see lists change. For trying out; `scorer.shop = false` leaves it out."""
