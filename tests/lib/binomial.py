"""Whether a count can be what a promised share brings by chance."""
import math

# One verdict in a million is wrong while the promise holds exactly; where it holds with room, none is.
CHANCE = 1e-6


def tail(met, of, share):
    """Probability of `met` or more among `of` when each is met with this share (Poisson, for small shares)."""
    mean = of * share
    if met <= mean:
        return 1.0
    term = math.exp(-mean + met * math.log(mean) - math.lgamma(met + 1)) if mean else 0.0
    total, k = 0.0, met
    while term > total * 1e-12 and k < met + 10000:
        total += term
        k += 1
        term *= mean / k
    return total


def holds(met, of, share):
    return met == 0 or tail(met, of, share) > CHANCE
