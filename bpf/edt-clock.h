/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * When a packet of a class may leave: the arithmetic of the pacer (edt-pacer.bpf.c), in a header so that the
 * same lines run in the kernel and in the tests' simulations. It looks at no packet and reads no clock.
 *
 * A packet gets the time of its departure when it comes, once, and takes its turn by it (fq). So there is no
 * queue to choose from; instead each class has clocks, and the link has one.
 *
 *   1. A class's rate now is its weight times the multiplier of its level, not below its floor and not above
 *      its ceiling. Weights are as floors are, so classes that want more share in proportion.
 *   2. The packet departs when its class's clock at that rate lets it, and its clock at the ceiling: over any
 *      time T no more than ceiling * (T + EDT_CREDIT_NSEC) and one packet.
 *   3. And when the link's clock lets it, which all packets move on by what they take of the capacity; except
 *      that its floor's clock lets it go earlier. So over any time T no more departs than
 *      capacity * (T + EDT_HORIZON_NSEC), as the floors together are within the capacity, and a floor holds
 *      whatever the others do.
 *   4. The control class has neither 1. nor 3.: its ceiling alone.
 *   5. Packets of a class depart in the order in which they came, but for one whose socket asked for later:
 * it alone waits for that.
 *   6. What would depart later than the horizon is dropped, and marked from half of it on, where it can carry
 *      a mark: the backlog of a class is so much of its rate, and no more.
 *   7. What waits is what departs in a later part of time than the present one: so what a class sent, dropped
 *      and holds is all that came to it, at any time.
 *   8. Each epoch the multipliers follow what there was: less for best effort, then for tenants, where more
 *      came than the link takes; more, at most double, where it took less and somebody wanted more, tenants
 *      first.
 */

#define EDT_NSEC 1000000000ULL
#define EDT_CREDIT_NSEC 1000000ULL /* what a class that came late may catch up */
#define EDT_HORIZON_NSEC 50000000ULL
#define EDT_HORIZON_BYTES 16384ULL   /* and the time of so much, for classes with little */
#define EDT_HORIZON_MAX 200000000ULL /* far below fq's own, 10 s */
/* A socket may ask for a later time than ours, but not fill the queue with what is to wait for long; a stamp
 * beyond is of another clock. */
#define EDT_ASKED_NSEC EDT_HORIZON_NSEC
#define EDT_EPOCH_NSEC 16000000ULL
#define EDT_EPOCHS_IDLE 16ULL /* after so many without a packet nothing is to be learnt */
/* How far the link's clock may be ahead for nothing. */
#define EDT_LEAD_NSEC 500000ULL
#define EDT_LEAD_EPOCHS 8ULL /* in how many epochs it is to be back there */
#define EDT_STEP_PART 4ULL
#define EDT_SHRINK_MOST 8ULL /* in one epoch */
#define EDT_SHARE_AHEAD_MAX EDT_NSEC

/* A weight of less than this part of the capacity counts as this part. */
#define EDT_WEIGHT_PART 1024ULL
#define EDT_MULTIPLIER_ONE 1024ULL
#define EDT_MULTIPLIER_MIN 1ULL /* of best effort; a tenant's floor is a share of one already */
#define EDT_MULTIPLIER_MAX (EDT_MULTIPLIER_ONE * EDT_WEIGHT_PART)

static __always_inline __u64 edt_max(__u64 a, __u64 b) {
        return a > b ? a : b;
}

/* How long so many bytes take; a packet has far fewer than 2^32. */
static __always_inline __u64 edt_time(__u64 bytes, __u64 rate) {
        return bytes * EDT_NSEC / (rate ?: 1);
}

/* 1., 4. */
static __always_inline __u64 edt_rate(const struct edt_class *class, __u64 multiplier) {
        __u64 rate = class->weight_bytes * multiplier / EDT_MULTIPLIER_ONE;

        if (class->level == EDT_LEVEL_CONTROL || rate > class->ceil_bytes)
                return class->ceil_bytes;
        return edt_max(rate, class->floor_bytes) ?: 1;
}

/* The clock at a rate that has changed: what it is far ahead by is so many bytes. Near the horizon it stays
 * as it is, or each change of a rate would change how much is let in, and that the rate. */
static __always_inline __u64 edt_share_clock(const struct edt_state *state, __u64 rate, __u64 now) {
        __u64 ahead = state->share_clock > now ? state->share_clock - now : 0;

        if (ahead <= 2 * EDT_HORIZON_NSEC || state->share_rate == rate)
                return state->share_clock;
        if (ahead > EDT_SHARE_AHEAD_MAX)
                ahead = EDT_SHARE_AHEAD_MAX;
        /* In microseconds and bytes a millisecond: within 64 bits up to 18 Tbyte/s. */
        ahead = (ahead / 1000 * (state->share_rate / 1000 + 1)) / (rate / 1000 + 1) * 1000;
        return now + (ahead > EDT_SHARE_AHEAD_MAX ? EDT_SHARE_AHEAD_MAX : ahead);
}

static __always_inline __u64 edt_horizon(__u64 rate) {
        __u64 horizon = edt_max(EDT_HORIZON_NSEC, edt_time(EDT_HORIZON_BYTES, rate));

        return horizon < EDT_HORIZON_MAX ? horizon : EDT_HORIZON_MAX;
}

/* 7. */
static __always_inline __u32 edt_part_number(__u64 time) {
        return time >> EDT_PART_SHIFT;
}

static __always_inline void edt_note_departure(
                struct edt_state *state, __u64 departure, __u64 bytes, __u64 packets) {
        __u32 number = edt_part_number(departure);
        struct edt_part *part = &state->parts[number % EDT_PARTS];

        if (part->number != number) {
                part->number = number;
                part->packets = 0;
                part->bytes = 0;
        }
        part->packets += packets;
        part->bytes += bytes;
}

/* What a packet meets. */
struct edt_verdict {
        __u64 departure; /* 0: it is dropped */
        bool wants;      /* with a greater share it would have left earlier */
        bool congested;  /* it is to carry the mark of that, if it can */
};

/* 2. to 7., under the state's lock. `gate`: the link's clock; `overhead`: bytes that the link adds; `asked`:
 * the packet's time when it came. */
static __always_inline struct edt_verdict edt_pass(const struct edt_class *class, struct edt_state *state,
                __u64 rate, __u64 gate, __u64 now, __u64 bytes, __u64 packets, __u64 overhead, __u64 asked) {
        __u64 share = edt_share_clock(state, rate, now), departure, horizon = edt_horizon(rate);
        struct edt_verdict verdict = { 0 };
        bool is_control = class->level == EDT_LEVEL_CONTROL, in_floor;

        departure = edt_max(edt_max(now, state->ceil_clock), state->last);
        if (!is_control) {
                verdict.wants = share > departure && rate < class->ceil_bytes;
                departure = edt_max(departure, share);
                if (class->floor_bytes && state->floor_clock < gate)
                        gate = state->floor_clock;
                departure = edt_max(departure, gate);
        }
        in_floor = class->floor_bytes && state->floor_clock <= departure;

        if (departure - now > horizon) {
                state->drops += packets;
                return verdict;
        }
        verdict.congested = departure - now > horizon / 2;
        verdict.departure = asked > departure && asked < now + EDT_ASKED_NSEC ? asked : departure;

        state->ceil_clock = edt_max(state->ceil_clock, now - EDT_CREDIT_NSEC) +
                            edt_time(bytes + overhead, class->ceil_bytes);
        state->share_clock = edt_max(share, now - EDT_CREDIT_NSEC) + edt_time(bytes + overhead, rate);
        state->share_rate = rate;
        if (in_floor)
                state->floor_clock = edt_max(state->floor_clock, now - EDT_CREDIT_NSEC) +
                                     edt_time(bytes + overhead, class->floor_bytes);
        else
                state->borrowed += packets;
        state->last = departure;
        state->bytes += bytes;
        state->packets += packets;
        edt_note_departure(state, verdict.departure, bytes, packets);
        if (departure > now)
                state->overlimits += packets;
        return verdict;
}

/* Of what was given a departure: it has not gone. */
static __always_inline void edt_waiting(
                const struct edt_state *state, __u64 now, __u64 *ret_bytes, __u64 *ret_packets) {
        *ret_bytes = *ret_packets = 0;
        for (int i = 0; i < EDT_PARTS; i++)
                /* From the next one on, modulo 2^32; what is older is of a while ago. */
                if (state->parts[i].number - edt_part_number(now) - 1 < EDT_PARTS) {
                        *ret_bytes += state->parts[i].bytes;
                        *ret_packets += state->parts[i].packets;
                }
}

/* Takes `over` bytes from a level that sent `bytes`; what it can't take is returned. */
static __always_inline __u64 edt_shrink(__u64 *multiplier, __u64 lowest, __u64 bytes, __u64 over) {
        __u64 least = edt_max(*multiplier / EDT_SHRINK_MOST, lowest);

        if (bytes == 0 || over == 0)
                return over;
        *multiplier = over < bytes ? edt_max(*multiplier * (bytes - over) / bytes, least) : least;
        return over < bytes ? 0 : over - bytes;
}

/* Of a small difference a part, as it may be but what came early or late; of a great one all. */
static __always_inline __u64 edt_step(__u64 difference, __u64 can) {
        return difference < can / EDT_STEP_PART ? difference / EDT_STEP_PART : difference;
}

static __always_inline void edt_grow(__u64 *multiplier, __u64 bytes, __u64 spare) {
        __u64 grown = spare < bytes ? *multiplier + *multiplier * spare / bytes + 1 : *multiplier * 2;

        *multiplier = grown < EDT_MULTIPLIER_MAX ? grown : EDT_MULTIPLIER_MAX;
}

/* 8. */
static __always_inline void edt_adapt(struct edt_link *link, __u64 now, __u64 elapsed) {
        __u64 bytes[EDT_LEVEL_MAX], wants[EDT_LEVEL_MAX], lead = link->clock > now ? link->clock - now : 0;
        __u64 can, have;

        for (int i = 0; i < EDT_LEVEL_MAX; i++) {
                bytes[i] = __sync_lock_test_and_set(&link->bytes[i], 0);
                wants[i] = __sync_lock_test_and_set(&link->wants[i], 0);
        }
        if (elapsed > EDT_EPOCHS_IDLE * EDT_EPOCH_NSEC)
                return;
        /* Within 64 bits up to 100 Gbyte/s. */
        can = link->capacity_bytes * elapsed / EDT_NSEC;
        have = bytes[EDT_LEVEL_CONTROL] + bytes[EDT_LEVEL_TENANT] + bytes[EDT_LEVEL_BEST_EFFORT];
        if (lead > EDT_LEAD_NSEC)
                have += link->capacity_bytes / EDT_LEAD_EPOCHS * (lead - EDT_LEAD_NSEC) / EDT_NSEC;

        if (have > can) {
                __u64 over = edt_shrink(&link->multiplier[EDT_LEVEL_BEST_EFFORT], EDT_MULTIPLIER_MIN,
                                bytes[EDT_LEVEL_BEST_EFFORT], edt_step(have - can, can));

                (void) edt_shrink(&link->multiplier[EDT_LEVEL_TENANT], EDT_MULTIPLIER_ONE,
                                bytes[EDT_LEVEL_TENANT], over);
        } else {
                __u64 spare = edt_step(can - have, can);

                if (wants[EDT_LEVEL_TENANT])
                        edt_grow(&link->multiplier[EDT_LEVEL_TENANT], bytes[EDT_LEVEL_TENANT], spare);
                else if (wants[EDT_LEVEL_BEST_EFFORT])
                        edt_grow(&link->multiplier[EDT_LEVEL_BEST_EFFORT], bytes[EDT_LEVEL_BEST_EFFORT],
                                        spare);
        }
}

/* What passed, and what was told of it, to the link: no lock, as other CPUs do the same at the same time. */
static __always_inline void edt_charge(struct edt_link *link, __u32 level, __u64 now, __u64 bytes,
                const struct edt_verdict *verdict) {
        __u64 clock = link->clock, epoch = link->epoch;

        if (level >= EDT_LEVEL_MAX)
                return;
        if (verdict->departure) {
                /* Who is second here need not try again: the first has moved it as far. */
                if (clock < now)
                        (void) __sync_val_compare_and_swap(&link->clock, clock, now);
                __sync_fetch_and_add(&link->clock, edt_time(bytes, link->capacity_bytes));
                __sync_fetch_and_add(&link->bytes[level], bytes);
        }
        if (verdict->wants && !link->wants[level])
                link->wants[level] = 1;
        if (now - epoch >= EDT_EPOCH_NSEC && now > epoch &&
                        __sync_val_compare_and_swap(&link->epoch, epoch, now) == epoch)
                edt_adapt(link, now, now - epoch);
}
