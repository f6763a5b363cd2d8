/* Every bound on something from outside, by name: value and reason stand in limits.def. */
#ifndef PST_BASE_LIMITS_H
#define PST_BASE_LIMITS_H

#define PST_LIMIT(name, value, unit, why) PST_MAX_##name = (value),
enum pst_limits {
#include "base/limits.def"
};
#undef PST_LIMIT

#endif
