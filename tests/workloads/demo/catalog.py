"""The goods: made once in each worker, searched by comparing words."""
import random

ADJECTIVES = ["blue", "tall", "quiet", "round", "folding", "copper", "light", "spare", "plain", "warm"]
NOUNS = ["kettle", "lamp", "chair", "shelf", "clock", "basket", "mirror", "bench", "carpet", "spoon"]


def build_catalog(size=1200):
    chance = random.Random(7)
    return [{"id": number, "price": chance.randint(100, 9000),
             "name": f"{chance.choice(ADJECTIVES)} {chance.choice(NOUNS)} {number}"} for number in range(size)]


CATALOG = build_catalog()


def pick_basket(seed, count):
    chance = random.Random(seed)
    return [chance.choice(CATALOG) for _ in range(count)]


def score_match(words, name):
    """Letters in common, the slow and honest way."""
    score = 0
    for word in words:
        for part in name.split():
            common = 0
            for left, right in zip(word, part):
                if left != right:
                    break
                common += 1
            score += common * common
    return score


def search_catalog(text):
    words = text.lower().split()
    found = [(score_match(words, item["name"]), item["name"]) for item in CATALOG]
    return [name for score, name in sorted(found, reverse=True) if score]
