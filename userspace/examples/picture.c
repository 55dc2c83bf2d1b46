/* SPDX-License-Identifier: MIT */
/* A picture by ray tracing: the project's name in balls above a floor, and what they mirror. */
#include <math.h>

#include "picture.h"

struct vec {
	double x, y, z;
};

/* A ball of diameter 1 a sign, in the plane z = 0. The floor is y = 0. */
enum { ROWS = 9, COLUMNS = 30 };
static const char *const balls[ROWS] = {
	"                             *", /* '#' and '*' are the two colors */
	"                              ", /* clang-format off */
	"#  #  ###  ##  ### ***   *** *",
	"#  # #    #  # #   *  * *    *",
	"#  #  ##  #### #   *  * *    *",
	"#  #    # #    #   *  * *    *",
	" ### ###   ### #   ***   *** *",
	"                   *          ",
	"                   *          ", /* clang-format on */
};
static const struct vec red = { 0.85, 0.2, 0.03 }, blue = { 0.05, 0.25, 0.65 };
static const struct vec horizon = { 0.75, 0.82, 0.9 }, zenith = { -0.9, -0.75, -0.5 };
static const struct vec sun = { -0.46, 0.7, -0.55 }, white = { 1, 1, 1 }, none = { 0, 0, 0 };

/*
 * The eye, how far from it the picture is, in pixels, and where it looks: ahead, right and up are
 * at right angles.
 */
enum { FOCUS = 430 };
static const struct vec eye = { 6.6, 4.9, -21.5 };
static const struct vec ahead = { 0.28, 0, 0.96 }, right = { 0.96, 0, -0.28 }, up = { 0, 1, 0 };

static char ball(int row, int column)
{
	return balls[ROWS - 1 - row][column];
}

static struct vec add(struct vec a, double k, struct vec b)
{
	return (struct vec){ a.x + k * b.x, a.y + k * b.y, a.z + k * b.z };
}

static double dot(struct vec a, struct vec b)
{
	return a.x * b.x + a.y * b.y + a.z * b.z;
}

static int clamp(double value, int least, int most)
{
	return value < least ? least : value > most ? most : (int)floor(value);
}

/* How far away the nearest ball on a ray is; 0: there is none. */
static double find_ball(struct vec from, struct vec way, int *row, int *column)
{
	double z = fabs(way.z) < 1e-9 ? 1e-9 : way.z, nearest = 0;
	double a = (-0.5 - from.z) / z, b = (0.5 - from.z) / z;
	double in = fmax(fmin(a, b), 0), out = fmax(a, b); /* of the slab that has the balls */
	struct vec first = add(from, in, way), last = add(from, out, way);
	int right_end = clamp(fmax(first.x, last.x), -1, COLUMNS - 1);
	int top = out > in ? clamp(fmax(first.y, last.y), -1, ROWS - 1) : -1;
	int x, y;

	for (y = clamp(fmin(first.y, last.y), 0, ROWS); y <= top; y++) {
		for (x = clamp(fmin(first.x, last.x), 0, COLUMNS); x <= right_end; x++) {
			struct vec v = { from.x - x - 0.5, from.y - y - 0.5, from.z };
			double m = dot(v, way), d = m * m - dot(v, v) + 0.25;
			double t = -m - sqrt(fmax(d, 0));

			if (ball(y, x) == ' ' || d < 0 || t < 0 || (nearest && t > nearest))
				continue;
			nearest = t;
			*row = y;
			*column = x;
		}
	}
	return nearest;
}

/* The light that comes from there, after at most so many mirrors. */
static struct vec trace(struct vec from, struct vec way, int mirrors)
{
	struct vec sky = add(horizon, fmax(way.y, 0), zenith), at, normal = up, mirrored, color;
	int row, column, i, dark;
	double shine, sunny, fog = 1, t = find_ball(from, way, &row, &column);

	if (t) {
		at = add(from, t, way);
		normal = (struct vec){ 2 * at.x - 2 * column - 1, 2 * at.y - 2 * row - 1,
				       2 * at.z };
		color = ball(row, column) == '#' ? red : blue;
	} else if (way.y < 0) {
		t = -from.y / way.y;
		at = add(from, t, way);
		dark = ((int)floor(at.x / 3) + (int)floor(at.z / 3)) & 1;
		color = add(none, dark ? 0.12 : 0.5, white);
		fog = 1 / (1 + t * t / 2500);
	} else {
		return sky;
	}
	at = add(at, 1e-4, normal);
	mirrored = add(way, -2 * dot(way, normal), normal);
	sunny = fmax(dot(normal, sun), 0);
	if (sunny && find_ball(at, sun, &row, &column))
		sunny = 0;
	for (shine = sunny ? fmax(dot(mirrored, sun), 0) : 0, i = 0; i < 5; i++)
		shine *= shine;
	color = add(add(none, 0.25 + 0.9 * sunny, color), shine, white);
	if (mirrors)
		color = add(color, 0.28, trace(at, mirrored, mirrors - 1));
	return add(add(none, fog, color), 1 - fog, sky);
}

static uint32_t byte(double light)
{
	return (uint32_t)(255 * sqrt(fmin(fmax(light, 0), 1)) + 0.5);
}

/* Of four rays. */
uint32_t picture_pixel(int x, int y)
{
	struct vec sum = none, way;
	int i;

	for (i = 0; i < 4; i++) {
		way = add(ahead, (x - PICTURE_WIDTH / 2 + 0.25 + 0.5 * (i & 1)) / FOCUS, right);
		way = add(way, (PICTURE_HEIGHT * 0.4 - y - 0.25 - 0.5 * (i >> 1)) / FOCUS, up);
		way = add(none, 1 / sqrt(dot(way, way)), way);
		sum = add(sum, 0.25, trace(eye, way, 2));
	}
	return byte(sum.x) << 16 | byte(sum.y) << 8 | byte(sum.z);
}
