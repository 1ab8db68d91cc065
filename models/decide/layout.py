"""What the numbers of a question mean, in twelve digits: a model and a snapshot of another layout are not asked."""

from __future__ import annotations

import hashlib
import json

from models.decide import facts, query, ranker, words

LAYOUT = hashlib.sha256(
    json.dumps(
        [
            [query.SESSION_SLOTS, query.USER_SLOTS, query.KINDS],
            [facts.CYCLES, facts.PLACES, facts.STAGES, facts.SESSION_KNOWN, facts.USER_KNOWN],
            [facts.SESSION_AMOUNTS, facts.SESSION_SHARES, facts.USER_AMOUNTS, facts.USER_SHARES],
            [ranker.FEATURES, ranker.PRIOR, ranker.LOOKED_AT],
            [words.WORDS, words.TITLE_WORDS, words.WORD_BUCKETS, words.WORD.pattern],
        ]
    ).encode()
).hexdigest()[:12]
