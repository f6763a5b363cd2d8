"""What a basket costs: nested plain calls."""

RATES = {"plain": 0.0, "silver": 0.05, "gold": 0.1}


def apply_discount(cents, tier, quantity):
    share = RATES[tier]
    for step in range(1, quantity + 1):
        if step % 3 == 0:
            share += 0.001
    return cents - int(cents * min(share, 0.25))


def compute_tax(cents):
    """Digit by digit, as a till from another age would."""
    total = 0
    for power in range(240):
        total += (cents * (power % 7)) // 97
        total ^= power
    return total % 1000


def price_line(item, tier):
    net = apply_discount(item["price"], tier, item["quantity"])
    return net * item["quantity"] + compute_tax(net)


def price_basket(basket, tier):
    return sum(price_line(item, tier) for item in basket)
