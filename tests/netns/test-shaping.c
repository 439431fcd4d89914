/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A probe of the control class beside a flood ten times the link, and a second tenant's floor. From this
 * machine's kernel, in namespaces of its own; and, with HEADGATE_TEST_DISCIPLINE=edt, by times of departure,
 * for a guest that has fq: on a slower link, as an emulated CPU does not send ten times 100 Mbit/s.
 */

#include "shaped.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROBES 200U /* a round */
#define ROUNDS 12U  /* of each state, a take */
#define TAKES 4U    /* at most: all that was taken counts, and more where a busy machine makes it doubtful */

/*
 * What the probe's link is in, turn by turn. A flood costs a packet more than its place in a queue: the
 * timers of a shaper and of TCP interrupt the CPU some thousands of times a second, by whatever link the
 * flood goes. In a virtual machine such an interrupt takes 5 to 15 us where the whole way takes 3, and one to
 * three packets in a hundred meet one, which is their p99 or is just not. So a link without a load is also
 * one beside another that is flooded, shaped alike, where the machine is as busy. What each run says at its
 * end is how long it was on each, and how many times as long.
 *
 * What is left is the other CPU's: a tree has one lock, and a packet that comes while the other CPU has it,
 * or hands one of the flood to the device, waits for that, some microseconds, a few in a hundred of them. Of
 * the flood no more comes there than an eighth above its ceiling: the rest is dropped before, as its class's
 * queue could not take it (bpf/flood-guard.bpf.h), so the classifier hangs on these links, too. With all on
 * one CPU (taskset) the p99 on the flooded link is that beside it: the queue itself, in which the control
 * class goes first, costs nothing.
 *
 * By HTB it has one queue. Where there are several, the kernel asks HTB for up to eight packets more before
 * it sends the first (try_bulk_dequeue_skb_slow()), and a tree at its ceiling then sets its timer, 6 to 8 us
 * in a virtual machine, with the packet in hand: 4 and 14 us. By times of departure it has one for each CPU,
 * each with a lock of its own.
 */
typedef enum LinkState {
        LINK_IDLE, /* nobody sends anything */
        LINK_QUIET,
        LINK_FLOODED,
        LINK_STATES,
} LinkState;

static const char *const state_words[LINK_STATES] = { "with nobody else", "beside a flooded link", "on it" };

typedef struct Delays {
        uint64_t p50[LINK_STATES][TAKES * ROUNDS], p99[LINK_STATES][TAKES * ROUNDS];
        size_t rounds;
        uint64_t bytes, usec; /* of the other tenant, on the flooded link */
} Delays;

static double other_mbps(const Delays *delays) {
        return (double) delays->bytes * 8 / (double) delays->usec;
}

/* Whether this link is to be shaped without a lock that is one for all of it. */
static bool is_paced(void) {
        const char *discipline = getenv("HEADGATE_TEST_DISCIPLINE");

        return discipline && strcmp(discipline, "edt") == 0;
}

static int compare_nsec(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

static uint64_t percentile(uint64_t *values, size_t n, unsigned p) {
        qsort(values, n, sizeof(uint64_t), compare_nsec);
        return values[(n * p - 1) / 100];
}

/* One tenant sends ten times what the link holds, and another TCP: what the other has of it is added. */
static void probe_round(const Shaped *probed, const Shaped *loaded, Probe *probe, uint64_t ret_nsec[PROBES],
                Delays *delays) {
        _cleanup_free_ Readings *readings = calloc(1, sizeof(Readings));
        Load *flood = NULL, *other = NULL;
        const Reading *begin, *end;
        size_t came;

        if (loaded) {
                flood = shaped_load(loaded, FIRST, LOAD_UDP4, 8, 10 * loaded->link.capacity_bps);
                other = shaped_load(loaded, SECOND, LOAD_TCP4, 4, 0);
                nanosleep(&(struct timespec){ .tv_nsec = 150000000 }, NULL); /* TCP is under way */
        }
        shaped_read(probed, readings);
        begin = &readings->at[readings->n - 1];
        came = probe_run(probe, PROBES, ret_nsec);
        shaped_read(probed, readings);
        end = &readings->at[readings->n - 1];
        load_free(flood);
        load_free(other);
        cr_assert_eq(came, PROBES, "of %u probes %zu came", PROBES, came);
        if (loaded == probed) {
                delays->bytes += end->bytes[SECOND] - begin->bytes[SECOND];
                delays->usec += end->usec - begin->usec;
        }
}

static void take_delays(Shaped *const links[2], Probe *probe, Delays *delays) {
        const Shaped *const loaded[LINK_STATES] = { [LINK_QUIET] = links[1], [LINK_FLOODED] = links[0] };

        for (unsigned i = 0; i < ROUNDS; i++, delays->rounds++)
                for (LinkState state = 0; state < LINK_STATES; state++) {
                        uint64_t nsec[PROBES];

                        probe_round(links[0], loaded[state], probe, nsec, delays);
                        delays->p50[state][delays->rounds] = percentile(nsec, PROBES, 50);
                        delays->p99[state][delays->rounds] = percentile(nsec, PROBES, 99);
                }
}

/* Of the rounds' p99 the median: a machine that stands still for some milliseconds spoils a round, and not
 * the comparison. */
static bool is_within(Delays *delays) {
        uint64_t p99[LINK_STATES], unloaded;

        for (LinkState state = 0; state < LINK_STATES; state++) {
                uint64_t p50 = percentile(delays->p50[state], delays->rounds, 50);

                p99[state] = percentile(delays->p99[state], delays->rounds, 50);
                fprintf(stderr, "%zu probes %s, none lost: p50 %.1f us, median p99 %.1f us\n",
                                delays->rounds * PROBES, state_words[state], (double) p50 / 1e3,
                                (double) p99[state] / 1e3);
        }
        fprintf(stderr,
                        "on it %.2f times of with nobody else, %.2f of beside a flooded link; the other "
                        "tenant: "
                        "%.2f Mbit/s\n",
                        (double) p99[LINK_FLOODED] / (double) p99[LINK_IDLE],
                        (double) p99[LINK_FLOODED] / (double) p99[LINK_QUIET], other_mbps(delays));
        unloaded = p99[LINK_IDLE] > p99[LINK_QUIET] ? p99[LINK_IDLE] : p99[LINK_QUIET];
        return p99[LINK_FLOODED] <= unloaded + unloaded / 2;
}

Test(shaping, the_control_class_beside_a_flood) {
        _cleanup_free_ Delays *delays = calloc(1, sizeof(Delays));
        static const ShapedLink link_10_mbps = { 10 * MBPS, NET_DISCIPLINE_EDT };
        const bool paced = is_paced();
        const ShapedLink *link = paced ? &link_10_mbps : &link_100_mbps;
        /* TCP by an emulated CPU beside a flood is as slow as that is: of its floor test-disciplines asks. */
        const double floor_mbps = paced ? 0 : 60;
        Shaped *links[2];
        Probe *probe;
        bool within;

        for (size_t i = 0; i < ELEMENTSOF(links); i++)
                links[i] = shaped_new_on(paced ? pair_new() : pair_new_single_queue(), WAY_OUT, link);
        probe = probe_new(&links[0]->pair, 6000, UPLINK_CLASSID(SLOT_CONTROL), 5);
        do {
                take_delays(links, probe, delays);
                within = is_within(delays);
        } while ((!within || other_mbps(delays) < floor_mbps) && delays->rounds < TAKES * ROUNDS);
        probe_free(probe);
        for (size_t i = 0; i < ELEMENTSOF(links); i++)
                shaped_free(links[i]);

        cr_expect(within, "the flood delays the control class");
        cr_expect_geq(other_mbps(delays), floor_mbps);
}
