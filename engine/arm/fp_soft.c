/*
 * fp_soft.c — floating-point arithmetic in integers, as the manual's pseudocode says it
 *
 * ARM DDI 0406C A2.7. A finite number other than zero is held as frac * 2^(exp - 63) with bit 63 of frac set; results are
 * made with at least two bits more than the format has and a sticky bit, then rounded once by round_pack().
 *
 * What is ARM's own: tininess is detected before rounding; flush-to-zero replaces a tiny result before rounding and sets
 * UFC alone; a signalling NaN operand is preferred to a quiet one, and the earlier operand to the later; half precision
 * is never flushed.
 */
#include "engine/arm/fp.h"

typedef unsigned __int128 u128;

struct format {
    unsigned ebits, fbits;
    int bias;
};

static const struct format formats[] = {
    [FP16] = {5, 10, 15},
    [FP32] = {8, 23, 127},
    [FP64] = {11, 52, 1023},
};

enum kind { ZERO, FINITE, INF, QNAN, SNAN };

struct num {
    enum kind kind;
    bool sign;
    int exp;
    uint64_t frac;
};

/* -- Pieces ---------------------------------------------------------------------------------------------- */

static uint64_t sign_bit(enum fp_width w, bool sign)
{
    return (uint64_t)sign << (formats[w].ebits + formats[w].fbits);
}

static uint64_t zero(enum fp_width w, bool sign)
{
    return sign_bit(w, sign);
}

static uint64_t infinity(enum fp_width w, bool sign)
{
    return sign_bit(w, sign) | ((UINT64_C(1) << formats[w].ebits) - 1) << formats[w].fbits;
}

static uint64_t max_normal(enum fp_width w, bool sign)
{
    return infinity(w, sign) - 1;
}

static uint64_t quiet_bit(enum fp_width w)
{
    return UINT64_C(1) << (formats[w].fbits - 1);
}

static uint64_t default_nan(enum fp_width w)
{
    return infinity(w, false) | quiet_bit(w);
}

static uint64_t invalid(uint32_t *fpscr, enum fp_width w)
{
    *fpscr |= FPSCR_IOC;
    return default_nan(w);
}

static enum fp_round rounding(const uint32_t *fpscr)
{
    return (enum fp_round)((*fpscr & FPSCR_RMODE) >> 22);
}

/* FPUnpack() */
static struct num unpack(uint32_t *fpscr, enum fp_width w, uint64_t x)
{
    const struct format *f = &formats[w];
    uint64_t frac = x & ((UINT64_C(1) << f->fbits) - 1);
    unsigned e = (unsigned)(x >> f->fbits) & ((1u << f->ebits) - 1);
    struct num n = {.sign = x >> (f->ebits + f->fbits) & 1};
    if (e == 0) {
        if (!frac)
            return n;
        if ((*fpscr & FPSCR_FZ) && w != FP16) {
            *fpscr |= FPSCR_IDC;
            return n;
        }
        int up = __builtin_clzll(frac);
        n.kind = FINITE;
        n.frac = frac << up;
        n.exp = 64 - f->bias - (int)f->fbits - up;
        return n;
    }
    if (e == (1u << f->ebits) - 1 && !(w == FP16 && (*fpscr & FPSCR_AHP))) {
        n.kind = !frac ? INF : frac & quiet_bit(w) ? QNAN : SNAN;
        n.frac = frac;
        return n;
    }
    n.kind = FINITE;
    n.frac = (frac | UINT64_C(1) << f->fbits) << (63 - f->fbits);
    n.exp = (int)e - f->bias;
    return n;
}

static bool is_nan(struct num a)
{
    return a.kind >= QNAN;
}

/* FPProcessNaN() */
static uint64_t process_nan(uint32_t *fpscr, enum fp_width w, enum kind kind, uint64_t x)
{
    if (kind == SNAN)
        *fpscr |= FPSCR_IOC;
    return *fpscr & FPSCR_DN ? default_nan(w) : x | quiet_bit(w);
}

/* FPProcessNaNs(): one of them is a NaN. */
static uint64_t process_nans(uint32_t *fpscr, enum fp_width w, struct num a, uint64_t x, struct num b, uint64_t y)
{
    if (a.kind == SNAN || (a.kind == QNAN && b.kind != SNAN))
        return process_nan(fpscr, w, a.kind, x);
    return process_nan(fpscr, w, b.kind, y);
}

static uint64_t shift_right_jam(uint64_t x, unsigned n)
{
    if (n == 0)
        return x;
    if (n > 63)
        return x != 0;
    return x >> n | ((x << (64 - n)) != 0);
}

static u128 shift_right_jam128(u128 x, unsigned n)
{
    if (n == 0)
        return x;
    if (n > 127)
        return x != 0;
    return x >> n | ((x << (128 - n)) != 0);
}

/* FPRound(): frac has bit 63 set and stickiness in bit 0. */
static uint64_t round_pack(uint32_t *fpscr, enum fp_width w, enum fp_round how, bool sign, int exp, uint64_t frac)
{
    const struct format *f = &formats[w];
    const unsigned drop = 63 - f->fbits;
    int biased = exp + f->bias;
    bool tiny = biased <= 0;
    if (tiny && (*fpscr & FPSCR_FZ) && w != FP16) {
        *fpscr |= FPSCR_UFC;
        return zero(w, sign);
    }
    if (tiny) {
        frac = shift_right_jam(frac, (unsigned)(1 - biased));
        biased = 1;
    }
    uint64_t rest = frac & ((UINT64_C(1) << drop) - 1), half = UINT64_C(1) << (drop - 1);
    uint64_t mant = frac >> drop;
    bool inexact = rest != 0, up;
    switch (how) {
    case FP_NEAREST: up = rest > half || (rest == half && (mant & 1)); break;
    case FP_UP: up = inexact && !sign; break;
    case FP_DOWN: up = inexact && sign; break;
    default: up = false; break;
    }
    if (tiny && inexact)
        *fpscr |= FPSCR_UFC;
    /* The hidden bit of mant counts one exponent. */
    uint64_t r = ((uint64_t)(biased - 1) << f->fbits) + mant + up;
    uint64_t emax = (UINT64_C(1) << f->ebits) - 1;
    if (w == FP16 && (*fpscr & FPSCR_AHP)) {
        if (r >> f->fbits > emax) {
            *fpscr |= FPSCR_IOC;
            return sign_bit(w, sign) | 0x7fff;
        }
    } else if (r >> f->fbits >= emax) {
        *fpscr |= FPSCR_OFC | FPSCR_IXC;
        bool inf = how == FP_NEAREST || (how == FP_UP && !sign) || (how == FP_DOWN && sign);
        return inf ? infinity(w, sign) : max_normal(w, sign);
    }
    if (inexact)
        *fpscr |= FPSCR_IXC;
    return sign_bit(w, sign) | r;
}

static uint64_t round_pack128(uint32_t *fpscr, enum fp_width w, enum fp_round how, bool sign, int exp, u128 x)
{
    return round_pack(fpscr, w, how, sign, exp, (uint64_t)(x >> 64) | ((uint64_t)x != 0));
}

/* -- Sums and products ------------------------------------------------------------------------------------- */

/* Of two finite numbers given as x * 2^(exp - 127) with bit 127 of x set. */
static uint64_t add_finite(uint32_t *fpscr, enum fp_width w, bool sa, int ea, u128 a, bool sb, int eb, u128 b)
{
    enum fp_round how = rounding(fpscr);
    if (eb > ea || (eb == ea && b > a)) {
        bool s = sa;
        sa = sb, sb = s;
        int e = ea;
        ea = eb, eb = e;
        u128 x = a;
        a = b, b = x;
    }
    /* One bit of room for the carry; what is shifted out stays visible as a sticky bit, and is needed for more than that
     * only when the exponents are so close that nothing is. */
    a >>= 1;
    b = shift_right_jam128(b, (unsigned)(ea - eb) + 1 > 200 ? 200 : (unsigned)(ea - eb) + 1);
    u128 sum = sa == sb ? a + b : a - b;
    if (!sum)
        return zero(w, how == FP_DOWN);
    int exp = ea + 1;
    uint64_t hi = (uint64_t)(sum >> 64);
    int up = hi ? __builtin_clzll(hi) : 64 + __builtin_clzll((uint64_t)sum);
    return round_pack128(fpscr, w, how, sa, exp - up, sum << up);
}

static uint64_t add(uint32_t *fpscr, enum fp_width w, uint64_t x, uint64_t y, bool negate)
{
    struct num a = unpack(fpscr, w, x), b = unpack(fpscr, w, y);
    if (is_nan(a) || is_nan(b))
        return process_nans(fpscr, w, a, x, b, y);
    b.sign ^= negate;
    if (a.kind == INF && b.kind == INF && a.sign != b.sign)
        return invalid(fpscr, w);
    if (a.kind == INF || b.kind == INF)
        return infinity(w, a.kind == INF ? a.sign : b.sign);
    if (a.kind == ZERO && b.kind == ZERO)
        return zero(w, a.sign == b.sign ? a.sign : rounding(fpscr) == FP_DOWN);
    if (a.kind == ZERO || b.kind == ZERO) {
        struct num n = a.kind == ZERO ? b : a;
        return round_pack(fpscr, w, rounding(fpscr), n.sign, n.exp, n.frac);
    }
    return add_finite(fpscr, w, a.sign, a.exp, (u128)a.frac << 64, b.sign, b.exp, (u128)b.frac << 64);
}

uint64_t soft_add(uint32_t *fpscr, enum fp_width w, uint64_t a, uint64_t b)
{
    return add(fpscr, w, a, b, false);
}

uint64_t soft_sub(uint32_t *fpscr, enum fp_width w, uint64_t a, uint64_t b)
{
    return add(fpscr, w, a, b, true);
}

/* Product as x * 2^(*exp - 127), bit 127 of x set. */
static u128 product(struct num a, struct num b, int *exp)
{
    u128 p = (u128)a.frac * b.frac;
    *exp = a.exp + b.exp + 1;
    if (!(p >> 127)) {
        p <<= 1;
        --*exp;
    }
    return p;
}

uint64_t soft_mul(uint32_t *fpscr, enum fp_width w, uint64_t x, uint64_t y)
{
    struct num a = unpack(fpscr, w, x), b = unpack(fpscr, w, y);
    if (is_nan(a) || is_nan(b))
        return process_nans(fpscr, w, a, x, b, y);
    bool sign = a.sign ^ b.sign;
    if ((a.kind == INF && b.kind == ZERO) || (a.kind == ZERO && b.kind == INF))
        return invalid(fpscr, w);
    if (a.kind == INF || b.kind == INF)
        return infinity(w, sign);
    if (a.kind == ZERO || b.kind == ZERO)
        return zero(w, sign);
    int exp;
    u128 p = product(a, b, &exp);
    return round_pack128(fpscr, w, rounding(fpscr), sign, exp, p);
}

uint64_t soft_muladd(uint32_t *fpscr, enum fp_width w, uint64_t z, uint64_t x, uint64_t y)
{
    struct num c = unpack(fpscr, w, z), a = unpack(fpscr, w, x), b = unpack(fpscr, w, y);
    bool inf_zero = (a.kind == INF && b.kind == ZERO) || (a.kind == ZERO && b.kind == INF);
    if (is_nan(c) || is_nan(a) || is_nan(b)) {
        if (c.kind == QNAN && inf_zero)
            return invalid(fpscr, w);
        /* FPProcessNaNs3() */
        if (c.kind == SNAN || (c.kind == QNAN && a.kind != SNAN && b.kind != SNAN))
            return process_nan(fpscr, w, c.kind, z);
        return process_nans(fpscr, w, a, x, b, y);
    }
    bool sign = a.sign ^ b.sign, inf = a.kind == INF || b.kind == INF, none = a.kind == ZERO || b.kind == ZERO;
    if (inf_zero || (c.kind == INF && inf && c.sign != sign))
        return invalid(fpscr, w);
    if (c.kind == INF || inf)
        return infinity(w, c.kind == INF ? c.sign : sign);
    if (none && c.kind == ZERO)
        return zero(w, c.sign == sign ? sign : rounding(fpscr) == FP_DOWN);
    if (none)
        return round_pack(fpscr, w, rounding(fpscr), c.sign, c.exp, c.frac);
    int exp;
    u128 p = product(a, b, &exp);
    if (c.kind == ZERO)
        return round_pack128(fpscr, w, rounding(fpscr), sign, exp, p);
    return add_finite(fpscr, w, c.sign, c.exp, (u128)c.frac << 64, sign, exp, p);
}

uint64_t soft_div(uint32_t *fpscr, enum fp_width w, uint64_t x, uint64_t y)
{
    struct num a = unpack(fpscr, w, x), b = unpack(fpscr, w, y);
    if (is_nan(a) || is_nan(b))
        return process_nans(fpscr, w, a, x, b, y);
    bool sign = a.sign ^ b.sign;
    if ((a.kind == INF && b.kind == INF) || (a.kind == ZERO && b.kind == ZERO))
        return invalid(fpscr, w);
    if (b.kind == ZERO && a.kind != INF)
        *fpscr |= FPSCR_DZC;
    if (a.kind == INF || b.kind == ZERO)
        return infinity(w, sign);
    if (a.kind == ZERO || b.kind == INF)
        return zero(w, sign);
    bool less = a.frac < b.frac;
    u128 n = (u128)a.frac << (less ? 64 : 63);
    uint64_t q = (uint64_t)(n / b.frac) | (n % b.frac != 0);
    return round_pack(fpscr, w, rounding(fpscr), sign, a.exp - b.exp - less, q);
}

uint64_t soft_sqrt(uint32_t *fpscr, enum fp_width w, uint64_t x)
{
    struct num a = unpack(fpscr, w, x);
    if (is_nan(a))
        return process_nan(fpscr, w, a.kind, x);
    if (a.kind == ZERO)
        return zero(w, a.sign);
    if (a.sign)
        return invalid(fpscr, w);
    if (a.kind == INF)
        return infinity(w, false);
    /* frac * 2^(exp - 63) = n * 2^(even - 126): the root is sqrt(n) * 2^(even / 2 - 63). */
    bool odd = a.exp & 1;
    u128 n = (u128)a.frac << (odd ? 64 : 63);
    uint64_t root = 0;
    for (int b = 63; b >= 0; b--) {
        uint64_t t = root | UINT64_C(1) << b;
        if ((u128)t * t <= n)
            root = t;
    }
    bool rest = (u128)root * root != n;
    return round_pack(fpscr, w, rounding(fpscr), false, (a.exp - odd) / 2, root | rest);
}

/* -- Comparisons ---------------------------------------------------------------------------------------------- */

/* -1, 0, 1; neither is a NaN. */
static int order(struct num a, struct num b)
{
    if (a.kind == ZERO && b.kind == ZERO)
        return 0;
    if (a.kind == ZERO)
        return b.sign ? 1 : -1;
    if (b.kind == ZERO || a.sign != b.sign)
        return a.sign ? -1 : 1;
    int r = 0;
    if (a.kind != b.kind)
        r = a.kind == INF ? 1 : -1;
    else if (a.kind == FINITE && a.exp != b.exp)
        r = a.exp > b.exp ? 1 : -1;
    else if (a.kind == FINITE && a.frac != b.frac)
        r = a.frac > b.frac ? 1 : -1;
    return a.sign ? -r : r;
}

uint32_t soft_compare(uint32_t *fpscr, enum fp_width w, uint64_t x, uint64_t y, bool signal_quiet)
{
    struct num a = unpack(fpscr, w, x), b = unpack(fpscr, w, y);
    if (is_nan(a) || is_nan(b)) {
        if (signal_quiet || a.kind == SNAN || b.kind == SNAN)
            *fpscr |= FPSCR_IOC;
        return 0x30000000;
    }
    int c = order(a, b);
    return c == 0 ? 0x60000000 : c < 0 ? 0x80000000 : 0x20000000;
}

static uint64_t pick(uint32_t *fpscr, enum fp_width w, uint64_t x, uint64_t y, bool larger)
{
    struct num a = unpack(fpscr, w, x), b = unpack(fpscr, w, y);
    if (is_nan(a) || is_nan(b))
        return process_nans(fpscr, w, a, x, b, y);
    int c = order(a, b);
    if (a.kind == ZERO && b.kind == ZERO)
        return zero(w, larger ? a.sign && b.sign : a.sign || b.sign);
    bool first = larger ? c > 0 : c < 0;
    struct num n = first ? a : b;
    return n.kind == ZERO ? zero(w, n.sign) : first ? x : y;
}

uint64_t soft_max(uint32_t *fpscr, enum fp_width w, uint64_t a, uint64_t b)
{
    return pick(fpscr, w, a, b, true);
}

uint64_t soft_min(uint32_t *fpscr, enum fp_width w, uint64_t a, uint64_t b)
{
    return pick(fpscr, w, a, b, false);
}

/* -- Conversions ---------------------------------------------------------------------------------------------- */

uint64_t soft_convert(uint32_t *fpscr, enum fp_width to, enum fp_width from, uint64_t x)
{
    struct num a = unpack(fpscr, from, x);
    bool alternative = to == FP16 && (*fpscr & FPSCR_AHP);
    if (is_nan(a)) {
        if (a.kind == SNAN || alternative)
            *fpscr |= FPSCR_IOC;
        if (alternative)
            return zero(to, a.sign);
        if (*fpscr & FPSCR_DN)
            return default_nan(to);
        int up = (int)formats[to].fbits - (int)formats[from].fbits;
        uint64_t payload = up >= 0 ? a.frac << up : a.frac >> -up;
        return infinity(to, a.sign) | quiet_bit(to) | payload;
    }
    if (a.kind == INF) {
        if (!alternative)
            return infinity(to, a.sign);
        *fpscr |= FPSCR_IOC;
        return sign_bit(to, a.sign) | 0x7fff;
    }
    if (a.kind == ZERO)
        return zero(to, a.sign);
    return round_pack(fpscr, to, rounding(fpscr), a.sign, a.exp, a.frac);
}

/* FPToFixed() */
uint64_t soft_to_fixed(uint32_t *fpscr, enum fp_width w, uint64_t x, unsigned nbits, unsigned frac, bool is_unsigned,
                       enum fp_round how)
{
    if (how == FP_BY_FPSCR)
        how = rounding(fpscr);
    struct num a = unpack(fpscr, w, x);
    if (is_nan(a)) {
        *fpscr |= FPSCR_IOC;
        return 0;
    }
    if (a.kind == ZERO)
        return 0;
    uint64_t max = is_unsigned ? (UINT64_C(1) << nbits) - 1 : (UINT64_C(1) << (nbits - 1)) - 1;
    uint64_t limit = a.sign ? (is_unsigned ? 0 : max + 1) : max; /* of the magnitude */
    uint64_t mag = limit + 1;
    bool inexact = false;
    int exp = a.exp + (int)frac; /* the value is frac * 2^(exp - 63) */
    if (a.kind == FINITE && exp < 62) {
        /* Two bits below the point, the lower one sticky. */
        uint64_t fixed = shift_right_jam(a.frac, 61 - exp > 64 ? 64 : (unsigned)(61 - exp));
        unsigned rest = (unsigned)fixed & 3;
        bool up;
        mag = fixed >> 2;
        inexact = rest != 0;
        switch (how) {
        case FP_NEAREST: up = rest == 3 || (rest == 2 && (mag & 1)); break;
        case FP_UP: up = inexact && !a.sign; break;
        case FP_DOWN: up = inexact && a.sign; break;
        default: up = false; break;
        }
        mag += up;
    }
    if (mag > limit) {
        *fpscr |= FPSCR_IOC;
        mag = limit;
    } else if (inexact) {
        *fpscr |= FPSCR_IXC;
    }
    return a.sign ? -mag : mag;
}

uint64_t soft_from_fixed(uint32_t *fpscr, enum fp_width w, uint64_t x, unsigned frac, bool is_unsigned,
                         enum fp_round how)
{
    if (how == FP_BY_FPSCR)
        how = rounding(fpscr);
    if (!x)
        return zero(w, false);
    bool sign = !is_unsigned && x >> 63;
    if (sign)
        x = -x;
    int up = __builtin_clzll(x);
    return round_pack(fpscr, w, how, sign, 63 - up - (int)frac, x << up);
}

/* -- Estimates and steps (A2.7.6, A2.7.8) -------------------------------------------------------------------- */

/* a: 256..511, standing for a / 512. Returns 256..511 for 1.0 .. 1.996. */
static uint32_t recip_estimate(uint32_t a)
{
    /* floor(256 * r + 1/2) with r = 512 / (a + 1/2) */
    uint32_t d = 2 * a + 1;
    return (2 * 262144 + d) / (2 * d);
}

/* q: 128..255 stands for (q + 1/2) / 512 when low, else for (q + 1/2) / 256. */
static uint32_t rsqrt_estimate(uint32_t q, bool low)
{
    /* The largest s with (s - 1/2) / 256 <= 1 / sqrt(value) */
    uint64_t right = (uint64_t)(low ? 1024 : 512) * 512 * 512;
    uint32_t s = 256;
    while (s < 511 && (uint64_t)(2 * s + 1) * (2 * s + 1) * (2 * q + 1) <= right)
        s++;
    return s;
}

uint32_t fp_unsigned_recip_estimate(uint32_t a)
{
    return a >> 31 ? recip_estimate(a >> 23) << 23 : UINT32_MAX;
}

uint32_t fp_unsigned_rsqrt_estimate(uint32_t a)
{
    if (!(a >> 30))
        return UINT32_MAX;
    bool low = !(a >> 31);
    return rsqrt_estimate(low ? a >> 23 : a >> 24, low) << 23;
}

uint32_t fp_recip_estimate(uint32_t *fpscr, uint32_t x)
{
    struct num a = unpack(fpscr, FP32, x);
    if (is_nan(a))
        return (uint32_t)process_nan(fpscr, FP32, a.kind, x);
    if (a.kind == INF)
        return (uint32_t)zero(FP32, a.sign);
    if (a.kind == ZERO) {
        *fpscr |= FPSCR_DZC;
        return (uint32_t)infinity(FP32, a.sign);
    }
    if (a.exp >= 126) {
        *fpscr |= FPSCR_UFC;
        return (uint32_t)zero(FP32, a.sign);
    }
    uint32_t s = recip_estimate((uint32_t)(a.frac >> 55));
    return (uint32_t)sign_bit(FP32, a.sign) | (253 - bits(x, 30, 23)) << 23 | (s & 0xff) << 15;
}

uint32_t fp_rsqrt_estimate(uint32_t *fpscr, uint32_t x)
{
    struct num a = unpack(fpscr, FP32, x);
    if (is_nan(a))
        return (uint32_t)process_nan(fpscr, FP32, a.kind, x);
    if (a.kind == ZERO) {
        *fpscr |= FPSCR_DZC;
        return (uint32_t)infinity(FP32, a.sign);
    }
    if (a.sign)
        return (uint32_t)invalid(fpscr, FP32);
    if (a.kind == INF)
        return 0;
    /* An odd biased exponent is halved exactly after one step down: the operand is then in 1/4 .. 1/2. */
    bool low = bit(x, 23);
    uint32_t q = (uint32_t)(a.frac >> 56);
    uint32_t s = rsqrt_estimate(q, low);
    return (380 - bits(x, 30, 23)) / 2 << 23 | (s & 0xff) << 15;
}

static uint32_t step(uint32_t *fpscr, uint32_t x, uint32_t y, uint32_t constant, uint32_t at_inf_zero, bool halve)
{
    struct num a = unpack(fpscr, FP32, x), b = unpack(fpscr, FP32, y);
    if (is_nan(a) || is_nan(b))
        return (uint32_t)process_nans(fpscr, FP32, a, x, b, y);
    if ((a.kind == INF && b.kind == ZERO) || (a.kind == ZERO && b.kind == INF))
        return at_inf_zero;
    uint32_t p = (uint32_t)soft_mul(fpscr, FP32, x, y);
    uint32_t r = (uint32_t)soft_sub(fpscr, FP32, constant, p);
    /* FPHalvedSub(): 3 - p is never so small that halving it is inexact, and its exponent never the largest. */
    return halve ? (uint32_t)soft_mul(fpscr, FP32, r, 0x3f000000) : r;
}

uint32_t fp_recip_step(uint32_t *fpscr, uint32_t a, uint32_t b)
{
    return step(fpscr, a, b, 0x40000000, 0x40000000, false);
}

uint32_t fp_rsqrt_step(uint32_t *fpscr, uint32_t a, uint32_t b)
{
    return step(fpscr, a, b, 0x40400000, 0x3fc00000, true);
}
