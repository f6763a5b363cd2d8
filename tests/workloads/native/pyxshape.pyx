cdef int inner(object then) except -1:
    then()
    return 1


def outer(then):
    return inner(then) + 1
