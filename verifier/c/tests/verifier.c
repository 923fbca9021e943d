// The verifier from C. Started by c_program.rs with a folder of files; prints what went wrong and ends with 1.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zkonnx.h"

static int failures = 0;

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            char message[512];                                                                               \
            zkonnx_last_error_message(message, sizeof message);                                              \
            fprintf(stderr, "line %d: not %s; last message: %s\n", __LINE__, #condition, message);           \
            failures++;                                                                                      \
        }                                                                                                    \
    } while (0)

#define CODE(expected, call)                                                                                 \
    do {                                                                                                     \
        zkonnx_code found = (call);                                                                          \
        if (found != (expected)) {                                                                           \
            char message[512];                                                                               \
            zkonnx_last_error_message(message, sizeof message);                                              \
            fprintf(stderr, "line %d: %s gives %d (%s), not %d: %s\n", __LINE__, #call, (int)found,          \
                    zkonnx_code_name(found), (int)(expected), message);                                      \
            failures++;                                                                                      \
        }                                                                                                    \
    } while (0)

typedef struct bytes {
    uint8_t *data;
    size_t length;
} bytes;

static bytes read_file(const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    bytes result = {NULL, (size_t)ftell(file)};
    rewind(file);
    result.data = malloc(result.length);
    if (result.data == NULL || fread(result.data, 1, result.length, file) != result.length) {
        perror(path);
        exit(2);
    }
    fclose(file);
    return result;
}

static zkonnx_code verdict(const zkonnx_model *model, bytes proof) {
    return zkonnx_verify(model, proof.data, proof.length, 1000, NULL, NULL);
}

static void registering(zkonnx_registry *registry, bytes zkv) {
    zkonnx_model *model = (zkonnx_model *)&failures;
    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_registry_register(NULL, zkv.data, zkv.length, &model));
    CHECK(model == NULL);
    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_registry_register(registry, NULL, zkv.length, &model));
    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_registry_register(registry, zkv.data, zkv.length, NULL));
    CODE(ZKONNX_CODE_BAD_LENGTH, zkonnx_registry_register(registry, zkv.data, SIZE_MAX, &model));
    CODE(ZKONNX_CODE_MALFORMED, zkonnx_registry_register(registry, zkv.data, zkv.length - 1, &model));
    CODE(ZKONNX_CODE_NOT_THIS_FILE, zkonnx_registry_register(registry, zkv.data, 0, &model));
    CHECK(model == NULL);

    zkv.data[8] ^= 0x40;
    CODE(ZKONNX_CODE_UNKNOWN_FILE_VERSION, zkonnx_registry_register(registry, zkv.data, zkv.length, &model));
    zkv.data[8] ^= 0x40;
    // The last commitment is no point any more; the length of a registration proof, zero, comes after it.
    memset(zkv.data + zkv.length - 40, 0xff, 32);
    CODE(ZKONNX_CODE_COMMITMENT_POINT, zkonnx_registry_register(registry, zkv.data, zkv.length, &model));
    char message[16];
    size_t length = zkonnx_last_error_message(message, sizeof message);
    CHECK(length >= sizeof message && strlen(message) == sizeof message - 1);
    CHECK(zkonnx_last_error_message(NULL, 0) == length);
}

static void params(zkonnx_registry *registry, const zkonnx_model *model, bytes zkv) {
    size_t needed = 0;
    uint32_t k = 0;
    CODE(ZKONNX_CODE_OK, zkonnx_zkv_k(zkv.data, zkv.length, &k));
    CODE(ZKONNX_CODE_BUFFER_TOO_SMALL, zkonnx_model_params(model, NULL, 0, &needed));
    CHECK(needed == 4 + 32 * (2 * ((size_t)1 << k) + 2));
    uint8_t *buffer = malloc(needed);
    CODE(ZKONNX_CODE_BUFFER_TOO_SMALL, zkonnx_model_params(model, buffer, needed - 1, &needed));
    CODE(ZKONNX_CODE_OK, zkonnx_model_params(model, buffer, needed, &needed));
    CODE(ZKONNX_CODE_OK, zkonnx_registry_insert_params(registry, k, buffer, needed));
    CODE(ZKONNX_CODE_PARAMS_LENGTH, zkonnx_registry_insert_params(registry, k, buffer, needed - 1));
    CODE(ZKONNX_CODE_PARAMS_K, zkonnx_registry_insert_params(registry, 99, buffer, needed));
    buffer[100] ^= 1;
    CODE(ZKONNX_CODE_PARAMS_DIGEST, zkonnx_registry_insert_params(registry, k, buffer, needed));
    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_registry_insert_params(registry, k, NULL, needed));
    free(buffer);
}

static void accepting(const zkonnx_model *model, bytes proof) {
    zkonnx_verified *verified = NULL;
    CODE(ZKONNX_CODE_OK, zkonnx_verify(model, proof.data, proof.length, 1000, NULL, &verified));
    CHECK(verified != NULL && zkonnx_last_error_message(NULL, 0) == 0);

    uint8_t id[32], other[32], digest[32], zeros[32] = {0};
    CODE(ZKONNX_CODE_OK, zkonnx_model_id(model, id));
    CODE(ZKONNX_CODE_OK, zkonnx_verified_model_id(verified, other));
    CHECK(memcmp(id, other, 32) == 0);
    CODE(ZKONNX_CODE_OK, zkonnx_verified_statement_digest(verified, digest));
    CHECK(memcmp(digest, zeros, 32) != 0);
    zkonnx_context context;
    CODE(ZKONNX_CODE_OK, zkonnx_verified_context(verified, &context));
    CHECK(context.payee[0] == 5 && context.payee[31] == 5 && context.nonce == 7 && context.not_after == 2000);

    size_t count = 0;
    CODE(ZKONNX_CODE_OK, zkonnx_verified_num_tensors(verified, ZKONNX_SIDE_OUTPUTS, &count));
    CHECK(count == 1);
    CODE(ZKONNX_CODE_BAD_INDEX, zkonnx_verified_num_tensors(verified, 2, &count));
    zkonnx_tensor tensor;
    CODE(ZKONNX_CODE_BAD_INDEX, zkonnx_verified_tensor(verified, ZKONNX_SIDE_OUTPUTS, 1, &tensor));
    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_verified_tensor(verified, ZKONNX_SIDE_OUTPUTS, 0, NULL));
    CODE(ZKONNX_CODE_OK, zkonnx_verified_tensor(verified, ZKONNX_SIDE_OUTPUTS, 0, &tensor));
    CHECK(tensor.mode == ZKONNX_MODE_PUBLIC && tensor.rank == 1 && tensor.shape[0] == tensor.count && tensor.scale > 0);
    for (size_t i = 0; i < tensor.count; i++) {
        printf("%lld ", (long long)tensor.values[i]);
    }
    printf("\n");

    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_verified_context(verified, NULL));
    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_verified_context(NULL, &context));
    // Once frees it, twice does no harm.
    zkonnx_verified_free(&verified);
    CHECK(verified == NULL);
    zkonnx_verified_free(&verified);
    zkonnx_verified_free(NULL);
}

static void expecting(const zkonnx_model *model, bytes proof, bytes hidden) {
    uint8_t domain[32], job[32], requester[32], payee[32], another[32];
    uint64_t nonce = 7, another_nonce = 8;
    memset(domain, 1, 32);
    memset(job, 2, 32);
    memset(requester, 4, 32);
    memset(payee, 5, 32);
    memset(another, 9, 32);
    zkonnx_expected all = {.domain = domain, .job_id = job, .requester = requester, .payee = payee, .nonce = &nonce};
    CODE(ZKONNX_CODE_OK, zkonnx_verify(model, proof.data, proof.length, 1000, &all, NULL));
    struct {
        zkonnx_expected expected;
        zkonnx_code code;
    } cases[] = {
        {{.domain = another}, ZKONNX_CODE_OTHER_DOMAIN},
        {{.job_id = another}, ZKONNX_CODE_OTHER_JOB},
        {{.requester = another}, ZKONNX_CODE_OTHER_REQUESTER},
        {{.payee = another}, ZKONNX_CODE_OTHER_PAYEE},
        {{.nonce = &another_nonce}, ZKONNX_CODE_OTHER_NONCE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        zkonnx_verified *verified = NULL;
        CODE(cases[i].code, zkonnx_verify(model, proof.data, proof.length, 1000, &cases[i].expected, &verified));
        CHECK(verified == NULL);
    }
    CODE(ZKONNX_CODE_EXPIRED, zkonnx_verify(model, proof.data, proof.length, 2001, NULL, NULL));
    CODE(ZKONNX_CODE_OK, zkonnx_verify(model, proof.data, proof.length, ZKONNX_NO_CLOCK, NULL, NULL));
    CODE(ZKONNX_CODE_HIDDEN_OUTPUT, verdict(model, hidden));
    zkonnx_expected lax = {.allow_hidden_outputs = 1};
    zkonnx_verified *verified = NULL;
    CODE(ZKONNX_CODE_OK, zkonnx_verify(model, hidden.data, hidden.length, 1000, &lax, &verified));
    zkonnx_tensor tensor;
    CODE(ZKONNX_CODE_OK, zkonnx_verified_tensor(verified, ZKONNX_SIDE_OUTPUTS, 0, &tensor));
    CHECK(tensor.mode == ZKONNX_MODE_HIDDEN && tensor.values == NULL && tensor.count == 0);
    zkonnx_verified_free(&verified);
}

static void rejecting(const zkonnx_model *model, const zkonnx_model *other, bytes proof) {
    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_verify(NULL, proof.data, proof.length, 1000, NULL, NULL));
    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_verify(model, NULL, proof.length, 1000, NULL, NULL));
    CODE(ZKONNX_CODE_BAD_LENGTH, zkonnx_verify(model, proof.data, SIZE_MAX, 1000, NULL, NULL));
    CODE(ZKONNX_CODE_OTHER_MODEL, verdict(other, proof));
    bytes shorter = {proof.data, proof.length - 1};
    CODE(ZKONNX_CODE_MALFORMED, verdict(model, shorter));
    // Some bytes of everything, flipped: never accepted.
    size_t step = proof.length / 64 + 1;
    for (size_t i = 0; i < proof.length; i += step) {
        proof.data[i] ^= 1;
        CHECK(verdict(model, proof) != ZKONNX_CODE_OK);
        proof.data[i] ^= 1;
    }
    // The payee, wherever it stands: a copied proof does not pay a thief.
    uint8_t payee[32];
    memset(payee, 5, sizeof payee);
    size_t found = 0;
    for (size_t i = 0; i + 32 <= proof.length; i++) {
        if (memcmp(proof.data + i, payee, 32) == 0) {
            memset(proof.data + i, 6, 32);
            zkonnx_code code = verdict(model, proof);
            CHECK(code >= ZKONNX_CODE_REJECTED_STATEMENT && code <= ZKONNX_CODE_REJECTED_LINEAR);
            memset(proof.data + i, 5, 32);
            found++;
        }
    }
    CHECK(found == 1);
    // The last byte is of the proof itself.
    proof.data[proof.length - 32] ^= 1;
    zkonnx_code code = verdict(model, proof);
    CHECK(code >= ZKONNX_CODE_REJECTED_STATEMENT && code <= ZKONNX_CODE_REJECTED_LINEAR);
    CHECK(zkonnx_last_error_message(NULL, 0) > 0);
    proof.data[proof.length - 32] ^= 1;
    CODE(ZKONNX_CODE_OK, verdict(model, proof));
}

static void batches(const zkonnx_model *model, const zkonnx_model *other, bytes proof, bytes hidden) {
    uint8_t thief[32] = {9};
    zkonnx_expected expected = {.payee = thief};
    bytes flipped = {malloc(proof.length), proof.length};
    memcpy(flipped.data, proof.data, proof.length);
    flipped.data[flipped.length - 32] ^= 1;
    zkonnx_batch_item items[] = {
        {model, proof.data, proof.length, NULL},      {other, proof.data, proof.length, NULL},
        {model, flipped.data, flipped.length, NULL},  {model, hidden.data, hidden.length, NULL},
        {model, proof.data, proof.length, &expected}, {model, NULL, 0, NULL},
        {NULL, proof.data, proof.length, NULL},       {model, proof.data, 3, NULL},
        {model, proof.data, proof.length, NULL},
    };
    zkonnx_code codes[9];
    CODE(ZKONNX_CODE_NOT_ALL_ACCEPTED, zkonnx_verify_batch(items, 9, 1000, codes));
    zkonnx_code expected_codes[9] = {
        ZKONNX_CODE_OK,          ZKONNX_CODE_OTHER_MODEL,
        verdict(model, flipped), ZKONNX_CODE_HIDDEN_OUTPUT,
        ZKONNX_CODE_OTHER_PAYEE, ZKONNX_CODE_NULL_POINTER,
        ZKONNX_CODE_NULL_POINTER, ZKONNX_CODE_NOT_THIS_FILE,
        ZKONNX_CODE_OK,
    };
    for (int i = 0; i < 9; i++) {
        CODE(expected_codes[i], codes[i]);
    }
    items[1] = items[0];
    CODE(ZKONNX_CODE_OK, zkonnx_verify_batch(items, 2, 1000, codes));
    CODE(ZKONNX_CODE_OK, zkonnx_verify_batch(items, 0, 1000, codes));
    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_verify_batch(NULL, 2, 1000, codes));
    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_verify_batch(items, 2, 1000, NULL));
    CODE(ZKONNX_CODE_BAD_LENGTH, zkonnx_verify_batch(items, SIZE_MAX / 2, 1000, codes));
    free(flipped.data);
}

typedef struct job {
    const zkonnx_model *model;
    bytes proof;
    zkonnx_code code;
} job;

static void *work(void *argument) {
    job *own = argument;
    own->code = verdict(own->model, own->proof);
    return NULL;
}

static void threads(const zkonnx_model *model, bytes proof) {
    pthread_t ids[4];
    job jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (job){model, proof, ZKONNX_CODE_INTERNAL};
        CHECK(pthread_create(&ids[i], NULL, work, &jobs[i]) == 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(ids[i], NULL) == 0 && jobs[i].code == ZKONNX_CODE_OK);
    }
}

int main(int count, char **arguments) {
    if (count != 2) {
        return 2;
    }
    const char *folder = arguments[1];
    CHECK(zkonnx_abi_version() == ZKONNX_ABI_VERSION);
    CHECK(strcmp(zkonnx_code_name(ZKONNX_CODE_REJECTED_LINEAR), "rejected_linear") == 0);
    CHECK(strcmp(zkonnx_code_name(12345), "unknown") == 0);

    bytes zkv = read_file(folder, "model.zkv"), other_zkv = read_file(folder, "other.zkv");
    bytes proof = read_file(folder, "good.proof"), hidden = read_file(folder, "hidden.proof");
    zkonnx_registry *registry = NULL;
    zkonnx_model *model = NULL, *same = NULL, *other = NULL;
    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_registry_new(NULL));
    CODE(ZKONNX_CODE_OK, zkonnx_registry_new(&registry));
    CODE(ZKONNX_CODE_OK, zkonnx_registry_register(registry, zkv.data, zkv.length, &model));
    CODE(ZKONNX_CODE_OK, zkonnx_registry_register(registry, other_zkv.data, other_zkv.length, &other));

    uint8_t id[32];
    CODE(ZKONNX_CODE_OK, zkonnx_model_id(model, id));
    CODE(ZKONNX_CODE_OK, zkonnx_registry_find(registry, id, &same));
    id[0] ^= 1;
    zkonnx_model *none = NULL;
    CODE(ZKONNX_CODE_UNKNOWN_MODEL, zkonnx_registry_find(registry, id, &none));
    CODE(ZKONNX_CODE_NULL_POINTER, zkonnx_registry_find(registry, NULL, &none));
    CHECK(none == NULL);
    params(registry, model, zkv);
    registering(registry, zkv);
    // Models outlive their registry.
    zkonnx_registry_free(&registry);
    zkonnx_registry_free(&registry);
    CHECK(registry == NULL);

    accepting(model, proof);
    expecting(same, proof, hidden);
    rejecting(model, other, proof);
    batches(model, other, proof, hidden);
    threads(model, proof);

    zkonnx_model_free(&model);
    zkonnx_model_free(&model);
    zkonnx_model_free(&same);
    zkonnx_model_free(&other);
    free(zkv.data);
    free(other_zkv.data);
    free(proof.data);
    free(hidden.data);
    return failures == 0 ? 0 : 1;
}
