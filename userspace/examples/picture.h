/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_PICTURE_H
#define EXAMPLES_PICTURE_H

#include <stdint.h>

enum { PICTURE_WIDTH = 640, PICTURE_HEIGHT = 360 };

/* 0x00RRGGBB; (0, 0) is above and to the left. */
uint32_t picture_pixel(int x, int y);

#endif
