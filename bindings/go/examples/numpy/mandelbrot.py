import os
import numpy


def attach(view):
    "Keeps rows of the image as an array: the same memory."
    global rows
    rows = numpy.asarray(view)


def detach():
    global rows
    del rows


def total():
    return int(rows.sum(dtype="int64"))


def draw(first, limit):
    "How long each point stays near 0, at most limit; a few rows at a time, which fit into a cache."
    size = rows.shape[1]
    x = numpy.arange(size) * (3.0 / size) - 2.25
    y = numpy.arange(first, first + len(rows))[:, None] * (3.0 / size) - 1.5
    with numpy.errstate(all="ignore"):
        for top in range(0, len(rows), 4):
            draw_band(rows[top : top + 4], x, y[top : top + 4], limit)


def draw_band(counts, x, y, limit):
    counts[:] = 0
    zx, zy, xx, yy, distance = (numpy.zeros(counts.shape) for _ in range(5))
    for _ in range(limit):
        zy *= zx
        zy += zy
        zy += y
        numpy.subtract(xx, yy, out=zx)
        zx += x
        numpy.multiply(zx, zx, out=xx)
        numpy.multiply(zy, zy, out=yy)
        numpy.add(xx, yy, out=distance)
        counts += distance <= 4
