/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/device.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
        const char *name;
        DeviceForm form;
        DeviceKind kind;
        const char *text;
        uint32_t major, minor;
} names[] = {
        { "/dev/nvidia0", DEVICE_FORM_NODE, DEVICE_KIND_EITHER, "/dev/nvidia0", 0, 0 },
        { "/dev/disk/by-id/..a", DEVICE_FORM_NODE, DEVICE_KIND_EITHER, "/dev/disk/by-id/..a", 0, 0 },
        { "char-drm", DEVICE_FORM_GROUP, DEVICE_KIND_CHARACTER, "drm", 0, 0 },
        { "char-*", DEVICE_FORM_GROUP, DEVICE_KIND_CHARACTER, "*", 0, 0 },
        { "char-nvidia-*", DEVICE_FORM_GROUP, DEVICE_KIND_CHARACTER, "nvidia-*", 0, 0 },
        { "char-/dev/vc/0", DEVICE_FORM_GROUP, DEVICE_KIND_CHARACTER, "/dev/vc/0", 0, 0 },
        { "block-loop", DEVICE_FORM_GROUP, DEVICE_KIND_BLOCK, "loop", 0, 0 },
        { "char-195", DEVICE_FORM_NUMBER, DEVICE_KIND_CHARACTER, NULL, 195, DEVICE_NUMBER_ANY },
        { "block-8:0", DEVICE_FORM_NUMBER, DEVICE_KIND_BLOCK, NULL, 8, 0 },
        { "c 195:0", DEVICE_FORM_NUMBER, DEVICE_KIND_CHARACTER, NULL, 195, 0 },
        { "b 8:*", DEVICE_FORM_NUMBER, DEVICE_KIND_BLOCK, NULL, 8, DEVICE_NUMBER_ANY },
        { "c *:*", DEVICE_FORM_NUMBER, DEVICE_KIND_CHARACTER, NULL, DEVICE_NUMBER_ANY, DEVICE_NUMBER_ANY },
        { "195:0", DEVICE_FORM_NUMBER, DEVICE_KIND_EITHER, NULL, 195, 0 },
        { "4095:1048575", DEVICE_FORM_NUMBER, DEVICE_KIND_EITHER, NULL, 4095, 1048575 },
};

Test(device, names_say_what_they_mean) {
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                DeviceName name = {};

                cr_assert_eq(device_name_parse(names[i].name, &name), 0, "%s", names[i].name);
                cr_expect_eq(name.form, names[i].form, "%s", names[i].name);
                cr_expect_eq(name.kind, names[i].kind, "%s", names[i].name);
                cr_expect_str_eq(name.text ?: "", names[i].text ?: "", "%s", names[i].name);
                if (name.form == DEVICE_FORM_NUMBER) {
                        cr_expect_eq(name.major, names[i].major, "%s", names[i].name);
                        cr_expect_eq(name.minor, names[i].minor, "%s", names[i].name);
                }
        }
}

Test(device, what_is_no_name) {
        static const char *const cases[] = { "", "/", "/dev", "/dev/", "/dev//null", "/dev/../etc/passwd",
                "/dev/./null", "/dev/null/", "/etc/passwd", "/dev/a\nb", "dev/null", "nvidia0", "char-",
                "block-", "char", "char-4096", "char-99999999999", "c 4096:0", "c 0:1048576", "c 195",
                "c 195:", "c :0", "c  195:0", "c 195:0 rw", "a *:*", "*:0", "*:*", "-1:0", "1:-1", "1:2:3",
                "0x1:0" };
        DeviceName name;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                cr_expect_eq(device_name_parse(cases[i], &name), -EINVAL, "'%s'", cases[i]);
}

Test(device, a_name_has_an_end) {
        char text[DEVICE_NAME_LENGTH_MAX + 2] = "/dev/";
        DeviceName name;

        memset(text + 5, 'x', sizeof text - 6);
        cr_expect_eq(device_name_parse(text, &name), -EINVAL);
        text[DEVICE_NAME_LENGTH_MAX] = '\0';
        cr_expect_eq(device_name_parse(text, &name), 0);
}

Test(device, access_in_any_order) {
        static const struct {
                const char *text, *printed; /* NULL: refused */
        } cases[] = { { "r", "r" }, { "rw", "rw" }, { "wr", "rw" }, { "mwr", "rwm" }, { "rr", "r" },
                { "", NULL }, { "x", NULL }, { "rx", NULL }, { "R", NULL } };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char printed[DEVICE_ACCESS_SIZE];
                uint32_t access = 0;
                int r = device_access_parse(cases[i].text, &access);

                cr_assert_eq(r, cases[i].printed ? 0 : -EINVAL, "'%s'", cases[i].text);
                if (cases[i].printed)
                        cr_expect_str_eq(device_access_format(access, printed), cases[i].printed);
        }
}

Test(device, a_set_is_ordered_and_adds_up) {
        _cleanup_device_set_ DeviceSet a = DEVICE_SET_NULL, b = DEVICE_SET_NULL, copy = DEVICE_SET_NULL;

        cr_assert_eq(device_set_put(&a, "char-drm", DEVICE_READ), 0);
        cr_assert_eq(device_set_put(&a, "/dev/null", DEVICE_READ), 0);
        cr_assert_eq(device_set_put(&b, "/dev/null", DEVICE_READ), 0);
        cr_assert_eq(device_set_put(&b, "char-drm", DEVICE_READ), 0);
        cr_expect(device_set_equal(&a, &b), "the order of a request says nothing");
        cr_assert_eq(device_set_put(&b, "char-drm", DEVICE_WRITE), 0);
        cr_expect_eq(b.n, 2);
        cr_expect_eq(b.entries[1].access, DEVICE_READ | DEVICE_WRITE);
        cr_expect_not(device_set_equal(&a, &b));
        cr_expect(device_set_has(&a, "char-drm"));
        cr_expect_not(device_set_has(&a, "char-dr"));
        cr_assert_eq(device_set_copy(&b, &copy), 0);
        cr_expect(device_set_equal(&b, &copy));
}
