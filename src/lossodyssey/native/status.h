/* What functions return to Python. */
#pragma once

enum { DONE = 0, NO_MEMORY = 1 };
