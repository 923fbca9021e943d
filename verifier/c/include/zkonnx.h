// The zkonnx verifier. Generated from the sources in ../src by `ZKONNX_WRITE_HEADER=1 cargo test -p zkonnx-verifier-c
// --test header`; a test checks that it is theirs. ../README.md shows how to use it.
//
// No function unwinds, throws or aborts on what is in a file. Null pointers are refused with a code. Functions that end in
// `_free` take the address of the caller's variable and set it to null.

#ifndef ZKONNX_H
#define ZKONNX_H

#include <stddef.h>
#include <stdint.h>

// Version of this interface: it grows with every change that a caller could notice. Compare it with
// `zkonnx_abi_version()` when the library is loaded at run time.
#define ZKONNX_ABI_VERSION 1

// The time for callers without a clock: nothing is ever expired.
#define ZKONNX_NO_CLOCK UINT64_MAX

// How a call has ended. Numbers are never used again for something else; new ones may come: treat every number
// but zero as "not accepted".
enum zkonnx_code
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Done; of a proof: accepted.
  ZKONNX_CODE_OK = 0,
  // A pointer that must not be null is.
  ZKONNX_CODE_NULL_POINTER = 1,
  // A length that no buffer can have.
  ZKONNX_CODE_BAD_LENGTH = 2,
  // The buffer is too small; nothing, or the beginning, was written.
  ZKONNX_CODE_BUFFER_TOO_SMALL = 3,
  // No tensor has this number.
  ZKONNX_CODE_BAD_INDEX = 4,
  // A mistake of this library. It stays usable.
  ZKONNX_CODE_INTERNAL = 5,
  // The bytes are not a file of this kind.
  ZKONNX_CODE_NOT_THIS_FILE = 10,
  // The file has a version that this library does not know.
  ZKONNX_CODE_UNKNOWN_FILE_VERSION = 11,
  // Truncated, too long, or not the canonical encoding.
  ZKONNX_CODE_MALFORMED = 12,
  // The proof has another length than proofs of this model.
  ZKONNX_CODE_PROOF_LENGTH = 13,
  // Well-formed, but no valid model.
  ZKONNX_CODE_INVALID_MODEL = 14,
  // Longer than any file of this kind may be.
  ZKONNX_CODE_TOO_LONG = 15,
  // False: the statement is not one of this model.
  ZKONNX_CODE_REJECTED_STATEMENT = 20,
  // False: a point off the curve, or a scalar that is not canonical.
  ZKONNX_CODE_REJECTED_TRANSCRIPT = 21,
  // False: the halo2 proof of the gates, where a model has one.
  ZKONNX_CODE_REJECTED_HALO2 = 22,
  // False: the argument of everything else.
  ZKONNX_CODE_REJECTED_LINEAR = 23,
  // The statement is about another model.
  ZKONNX_CODE_OTHER_MODEL = 30,
  // The statement has a version that this library does not know.
  ZKONNX_CODE_WRONG_VERSION = 31,
  // The statement's time is over.
  ZKONNX_CODE_EXPIRED = 32,
  // Of a batch: not all proofs are accepted.
  ZKONNX_CODE_NOT_ALL_ACCEPTED = 38,
  // For a reason that has no number here.
  ZKONNX_CODE_NOT_ACCEPTED = 39,
  // Expected another domain.
  ZKONNX_CODE_OTHER_DOMAIN = 40,
  // Expected another job.
  ZKONNX_CODE_OTHER_JOB = 41,
  // Expected another nonce.
  ZKONNX_CODE_OTHER_NONCE = 42,
  // Expected another requester.
  ZKONNX_CODE_OTHER_REQUESTER = 43,
  // Expected another payee.
  ZKONNX_CODE_OTHER_PAYEE = 44,
  // An input is hidden that was expected not to be.
  ZKONNX_CODE_HIDDEN_INPUT = 45,
  // An output is hidden that was expected not to be.
  ZKONNX_CODE_HIDDEN_OUTPUT = 46,
  // The model has no circuit with the layout that its file names.
  ZKONNX_CODE_NO_CIRCUIT = 60,
  // The number of parameter commitments is wrong.
  ZKONNX_CODE_COMMITMENT_COUNT = 61,
  // A parameter commitment is no point of the curve.
  ZKONNX_CODE_COMMITMENT_POINT = 62,
  // Private weights with bounds that do not follow from declared widths.
  ZKONNX_CODE_BOUNDS = 63,
  // The weights are not those of the commitments.
  ZKONNX_CODE_OTHER_WEIGHTS = 64,
  // There is no verifying key.
  ZKONNX_CODE_NO_KEY = 65,
  // Verification would cost more than the limit.
  ZKONNX_CODE_TOO_EXPENSIVE = 66,
  // The model is not registered.
  ZKONNX_CODE_UNKNOWN_MODEL = 67,
  // The registration proof of private weights is rejected.
  ZKONNX_CODE_REGISTRATION = 68,
  // No parameters exist for this `k`.
  ZKONNX_CODE_PARAMS_K = 80,
  // Parameters of another length.
  ZKONNX_CODE_PARAMS_LENGTH = 81,
  // Parameters that are not the ones that everyone derives.
  ZKONNX_CODE_PARAMS_DIGEST = 82,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum zkonnx_code zkonnx_code;
#else
typedef int32_t zkonnx_code;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Inputs or outputs.
enum zkonnx_side
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Inputs.
  ZKONNX_SIDE_INPUTS = 0,
  // Outputs.
  ZKONNX_SIDE_OUTPUTS = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum zkonnx_side zkonnx_side;
#else
typedef int32_t zkonnx_side;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How a tensor stands in the statement.
enum zkonnx_mode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Its integers are there.
  ZKONNX_MODE_PUBLIC = 0,
  // Nothing is said about it.
  ZKONNX_MODE_HIDDEN = 1,
  // Its integers are hidden behind points in the proof file.
  ZKONNX_MODE_COMMITTED = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum zkonnx_mode zkonnx_mode;
#else
typedef int32_t zkonnx_mode;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A registered model. Any thread may use it, and many at once; it outlives its registry.
typedef struct zkonnx_model zkonnx_model;

// Registered models, and parameters of the commitment scheme. Any thread may use it, and many at once.
typedef struct zkonnx_registry zkonnx_registry;

// A proof that was accepted, with what it states. Any thread may use it, and many at once.
typedef struct zkonnx_verified zkonnx_verified;

// What the caller expects of a statement. All zero bytes: anything, but outputs that are not hidden. Name at least the payee
// and the job before you pay for a proof.
typedef struct {
  // 32 bytes; null: any domain.
  const uint8_t *domain;
  // 32 bytes; null: any job.
  const uint8_t *job_id;
  // 32 bytes; null: anyone.
  const uint8_t *requester;
  // 32 bytes; null: anyone.
  const uint8_t *payee;
  // Null: any nonce.
  const uint64_t *nonce;
  // Not zero: hidden outputs will do, and the statement may say next to nothing.
  uint8_t allow_hidden_outputs;
  // Not zero: hidden inputs will not do.
  uint8_t refuse_hidden_inputs;
} zkonnx_expected;

// For whom, when and how often a proof counts.
typedef struct {
  // Application or chain.
  uint8_t domain[32];
  // The job, unique within the domain.
  uint8_t job_id[32];
  // Who asked.
  uint8_t requester[32];
  // Who is paid.
  uint8_t payee[32];
  // Free for the application.
  uint64_t nonce;
  // Last valid second, in Unix time; 0 means for ever.
  uint64_t not_after;
} zkonnx_context;

// One proof of a batch.
typedef struct {
  // The model, registered. Models of one registry are verified faster together.
  const zkonnx_model *model;
  // A proof file.
  const uint8_t *proof;
  // Its bytes.
  size_t length;
  // Null, or what is expected of the statement.
  const zkonnx_expected *expected;
} zkonnx_batch_item;

// One input or output. All pointers belong to the result, and live as long as it does.
typedef struct {
  // The ONNX name in UTF-8, without a zero byte at the end.
  const char *name;
  // Bytes of the name.
  size_t name_length;
  // The shape.
  const uint32_t *shape;
  // Axes.
  size_t rank;
  // The integers, row-major; null unless they are public.
  const int64_t *values;
  // How many integers there are; 0 unless they are public.
  size_t count;
  // An integer times this is the value in real units.
  double scale;
  // A `zkonnx_mode`.
  int32_t mode;
} zkonnx_tensor;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the interface that the library was built with.
uint32_t zkonnx_abi_version(void);

// The name of a code: lower-case letters and underscores, for logs. Never null; it lives as long as the library.
const char *zkonnx_code_name(int32_t code);

// Writes the message of this thread's last call that returned a code, as one or more lines of UTF-8 that end with a zero byte, and
// cut if need be; empty after a success. Gives the length of the whole message without the zero byte: call it with a null
// buffer to ask for it. It may contain names out of files of strangers.
//
// # Safety
// `buffer` is null, or has room for `length` bytes.
size_t zkonnx_last_error_message(char *buffer,
                                 size_t length);

// Makes an empty registry, to be freed with `zkonnx_registry_free`.
//
// # Safety
// `registry` is null or has room for a pointer.
zkonnx_code zkonnx_registry_new(zkonnx_registry **registry);

// Frees a registry, and sets the caller's pointer to null: a second call with the same variable does nothing.
//
// # Safety
// `registry` is null, or points to null or a handle of this library that is not freed. No other copy of the handle is used afterwards, or
// at the same time.
void zkonnx_registry_free(zkonnx_registry **registry);

// Makes cached parameters known, so that they need not be derived: a second at `k` = 11, and twice as long for each one more. Only
// the bytes that everyone derives are accepted.
//
// # Safety
// `registry` is null or a handle of this library that is not freed; `bytes` is null or points to `length` bytes.
zkonnx_code zkonnx_registry_insert_params(const zkonnx_registry *registry,
                                          uint32_t k,
                                          const uint8_t *bytes,
                                          size_t length);

// Registers the bytes of a `.zkv` file, and checks everything about it. The same bytes give the same model. The model
// is freed with `zkonnx_model_free`.
//
// # Safety
// `registry` is null or a handle of this library that is not freed; `bytes` is null or points to `length` bytes; `model` is null or has
// room for a pointer.
zkonnx_code zkonnx_registry_register(const zkonnx_registry *registry,
                                     const uint8_t *bytes,
                                     size_t length,
                                     zkonnx_model **model);

// Finds a registered model by its id. The model is freed with `zkonnx_model_free`.
//
// # Safety
// `registry` is null or a handle of this library that is not freed; `id` is null or points to 32 bytes; `model` is null or has room for
// a pointer.
zkonnx_code zkonnx_registry_find(const zkonnx_registry *registry,
                                 const uint8_t *id,
                                 zkonnx_model **model);

// Frees a model, and sets the caller's pointer to null: a second call with the same variable does nothing.
//
// # Safety
// `model` is null, or points to null or a handle of this library that is not freed. No other copy of the handle is used afterwards, or at
// the same time.
void zkonnx_model_free(zkonnx_model **model);

// Writes the model's id: 32 bytes, the digest of its `.zkv` file.
//
// # Safety
// `model` is null or a handle of this library that is not freed; `id` is null or has room for 32 bytes.
zkonnx_code zkonnx_model_id(const zkonnx_model *model, uint8_t *id);

// Writes the parameters that the model uses, to be kept for `zkonnx_registry_insert_params`. `needed` gets their length: ask for it
// with a null buffer, which is answered with the code for a buffer that is too small.
//
// # Safety
// `model` is null or a handle of this library that is not freed; `buffer` is null or has room for `length` bytes; `needed` is null or has
// room for a number.
zkonnx_code zkonnx_model_params(const zkonnx_model *model,
                                uint8_t *buffer,
                                size_t length,
                                size_t *needed);

// The `k` of a `.zkv` file's parameters: what to look for in a cache before it is registered.
//
// # Safety
// `bytes` is null or points to `length` bytes; `k` is null or has room for a number.
zkonnx_code zkonnx_zkv_k(const uint8_t *bytes, size_t length, uint32_t *k);

// Verifies a proof file: its statement is the expected one, and true. The result is freed with `zkonnx_verified_free`;
// it is null unless the code is zero. `verified` itself may be null for callers whom the code is enough.
//
// `now` is the time in seconds since 1970, or `ZKONNX_NO_CLOCK`. Whether the job was settled before is the caller's to know.
//
// # Safety
// `model` is null or a handle of this library that is not freed; `proof` is null or points to `length` bytes; `expected` is null or
// valid, its pointers too; `verified` is null or has room for a pointer.
zkonnx_code zkonnx_verify(const zkonnx_model *model,
                          const uint8_t *proof,
                          size_t length,
                          uint64_t now,
                          const zkonnx_expected *expected,
                          zkonnx_verified **verified);

// Frees a result, and sets the caller's pointer to null: a second call with the same variable does nothing.
//
// # Safety
// `verified` is null, or points to null or a handle of this library that is not freed. No other copy of the handle, and nothing that was
// borrowed from it, is used afterwards, or at the same time.
void zkonnx_verified_free(zkonnx_verified **verified);

// Writes the digest of the statement that is true: 32 bytes.
//
// # Safety
// `verified` is null or a handle of this library that is not freed; `digest` is null or has room for 32 bytes.
zkonnx_code zkonnx_verified_statement_digest(const zkonnx_verified *verified, uint8_t *digest);

// Writes the id of the model that the statement is about: 32 bytes.
//
// # Safety
// `verified` is null or a handle of this library that is not freed; `id` is null or has room for 32 bytes.
zkonnx_code zkonnx_verified_model_id(const zkonnx_verified *verified, uint8_t *id);

// Writes the context of the statement.
//
// # Safety
// `verified` is null or a handle of this library that is not freed; `context` is null or has room for one.
zkonnx_code zkonnx_verified_context(const zkonnx_verified *verified, zkonnx_context *context);

// Verifies `count` proofs; `codes` gets the code of each, the one that `zkonnx_verify` would give. The code that is returned is zero only
// if all of them are.
//
// # Safety
// `items` is null or points to `count` items whose pointers are null or valid; `codes` is null or has room for `count` codes.
zkonnx_code zkonnx_verify_batch(const zkonnx_batch_item *items,
                                size_t count,
                                uint64_t now,
                                zkonnx_code *codes);

// Writes the number of inputs or outputs (`side` is a `zkonnx_side`).
//
// # Safety
// `verified` is null or a handle of this library that is not freed; `count` is null or has room for a number.
zkonnx_code zkonnx_verified_num_tensors(const zkonnx_verified *verified, int32_t side, size_t *count);

// Writes an input or output (`side` is a `zkonnx_side`), in the model's order.
//
// # Safety
// `verified` is null or a handle of this library that is not freed; `tensor` is null or has room for one.
zkonnx_code zkonnx_verified_tensor(const zkonnx_verified *verified, int32_t side, size_t index, zkonnx_tensor *tensor);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ZKONNX_H */
