// C++ with names worth demangling between two Python frames, and a stack longer than its copy.
typedef void (*callback)();

namespace shop {
template <typename T>
struct Till {
    T total;
    __attribute__((noinline)) T ring(callback then)
    {
        then();
        return ++total;
    }
};
}

extern "C" int shapes_ring(callback then)
{
    shop::Till<int> till = {1};
    return till.ring(then) + 1;
}

extern "C" __attribute__((noinline)) int shapes_deep(int depth, callback then)
{
    volatile char room[4096];
    room[depth % 4096] = 1;
    if (depth == 0)
        then();
    else
        shapes_deep(depth - 1, then);
    return room[depth % 4096];
}
