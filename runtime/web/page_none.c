/* The table of a program that was built without pages. */
#include "runtime/web/page.h"

const struct web_asset web_assets[] = {{.path = ""}};
const size_t web_assets_count = 0;
