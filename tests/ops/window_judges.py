"""Convolution and windows said again: one loop over every place and tap that meet."""

import itertools
import math

import numpy as np


def _meetings(size, taps, stride, padding, dilation):
    """Place, tap and what is read, wherever that lies inside."""
    counts = [
        (n + sum(pad) - (t - 1) * d - 1) // s + 1
        for n, t, s, pad, d in zip(size, taps, stride, padding, dilation, strict=True)
    ]
    for place in itertools.product(*map(range, counts)):
        for tap in itertools.product(*map(range, taps)):
            read = tuple(
                p * s + t * d - pad[0]
                for p, t, s, pad, d in zip(place, tap, stride, padding, dilation, strict=True)
            )
            if all(0 <= r < n for r, n in zip(read, size, strict=True)):
                yield place, tap, read


def _places(size, taps, **where):
    return tuple(1 + max(place[axis] for place, _, _ in _meetings(size, taps, **where))
                 for axis in (0, 1))  # fmt: skip


def _pairs(channels, maps, groups):
    """Channel, channel within its group, and map, wherever they are of one group."""
    for channel, kernel in itertools.product(range(channels), range(maps)):
        if channel * groups // channels == kernel * groups // maps:
            yield channel, channel % (channels // groups), kernel


def convolve(x, w, groups, **where):
    shape = (*_places(x.shape[:2], w.shape[:2], **where), w.shape[3], x.shape[3])
    result = np.zeros(shape)
    for place, tap, read in _meetings(x.shape[:2], w.shape[:2], **where):
        for channel, own, kernel in _pairs(x.shape[2], w.shape[3], groups):
            result[(*place, kernel)] += x[(*read, channel)] * w[(*tap, own, kernel)]
    return result.astype(x.dtype)


def convolve_input(o, w, shape, groups, **where):
    channels = w.shape[2] * groups
    result = np.zeros((*shape, channels, o.shape[3]))
    for place, tap, read in _meetings(shape, w.shape[:2], **where):
        for channel, own, kernel in _pairs(channels, w.shape[3], groups):
            result[(*read, channel)] += o[(*place, kernel)] * w[(*tap, own, kernel)]
    return result.astype(o.dtype)


def convolve_weight(x, o, shape, groups, **where):
    result = np.zeros((*shape, x.shape[2] // groups, o.shape[2]))
    for place, tap, read in _meetings(x.shape[:2], shape, **where):
        for channel, own, kernel in _pairs(x.shape[2], o.shape[2], groups):
            product = x[(*read, channel)] * o[(*place, kernel)]
            result[(*tap, own, kernel)] += math.fsum(product)
    return result.astype(x.dtype)


def _windows(x, taps, **where):
    """For each place, what its window reads, in order of taps."""
    found = {}
    for place, _, read in _meetings(x.shape[:2], taps, **where):
        found.setdefault(place, []).append(read)
    return found


def _winner(x, reads, rest):
    """The first place with the greatest value; NaN is greatest."""
    values = [x[(*read, *rest)] for read in reads]
    unknown = [place for place, value in enumerate(values) if np.isnan(value)]
    return reads[unknown[0] if unknown else values.index(max(values))]


def _each(x, taps, where):
    for place, reads in _windows(x, taps, **where).items():
        for rest in np.ndindex(x.shape[2:]):
            yield (*place, *rest), reads, rest


def window_max(x, taps, **where):
    return window_pick(x, x, taps, **where)


def window_pick(x, v, taps, **where):
    result = np.zeros((*_places(x.shape[:2], taps, **where), *x.shape[2:]), v.dtype)
    for place, reads, rest in _each(x, taps, where):
        result[place] = v[(*_winner(x, reads, rest), *rest)]
    return result


def window_place(x, o, taps, **where):
    result = np.zeros(x.shape, o.dtype)
    for place, reads, rest in _each(x, taps, where):
        result[(*_winner(x, reads, rest), *rest)] += o[place]
    return result


def window_sum(x, taps, **where):
    result = np.zeros((*_places(x.shape[:2], taps, **where), *x.shape[2:]), x.dtype)
    for place, reads, rest in _each(x, taps, where):
        result[place] = math.fsum(x[(*read, *rest)] for read in reads)
    return result


def window_spread(o, taps, shape, **where):
    result = np.zeros((*shape, *o.shape[2:]), o.dtype)
    for place, reads, rest in _each(result, taps, where):
        for read in reads:
            result[(*read, *rest)] += o[place]
    return result


WINDOW_JUDGES = {
    "convolve": convolve,
    "convolve_input": convolve_input,
    "convolve_weight": convolve_weight,
    "window_max": window_max,
    "window_pick": window_pick,
    "window_place": window_place,
    "window_spread": window_spread,
    "window_sum": window_sum,
}
