#include "client/base/err.h"

const char *err_name(enum err err)
{
#define X(name, code, retry, text) \
    case ERR_##name: return #name;
    switch (err) {
        ERR_LIST(X)
    }
#undef X
    return "UNKNOWN";
}

const char *err_text(enum err err)
{
#define X(name, code, retry, text) \
    case ERR_##name: return text;
    switch (err) {
        ERR_LIST(X)
    }
#undef X
    return "";
}

enum err_retry err_retry(enum err err)
{
#define X(name, code, retry, text) \
    case ERR_##name: return retry;
    switch (err) {
        ERR_LIST(X)
    }
#undef X
    return ERR_FINAL;
}

bool err_is_wire(enum err err)
{
    return (int)err >= -1;
}

enum err err_from_wire(int16_t code)
{
#define X(name, number, retry, text) \
    case number: return number < -1 ? ERR_UNKNOWN_SERVER_ERROR : (enum err)(number);
    switch (code) {
        ERR_LIST(X)
    }
#undef X
    return ERR_UNKNOWN_SERVER_ERROR;
}
