// Verifies proofs with the module, and checks that it refuses others: node test.mjs MODULE.wasm FOLDER

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

const [modulePath, folder] = process.argv.slice(2);
assert.ok(modulePath && folder, "node test.mjs MODULE.wasm FOLDER");
const read = (name) => readFile(join(folder, name));

// No imports at all: no clock, no files, no randomness.
const module = await WebAssembly.compile(await readFile(modulePath));
assert.deepEqual(WebAssembly.Module.imports(module), []);
const { exports: zkonnx } = await WebAssembly.instantiate(module, {});

const OK = 0;
const NULL_POINTER = 1;
const OTHER_MODEL = 30;
const EXPIRED = 32;
const OTHER_PAYEE = 44;
const HIDDEN_OUTPUT = 46;

// Memory of the module moves when it grows: look at it anew every time.
const bytes = () => new Uint8Array(zkonnx.memory.buffer);
const words = () => new DataView(zkonnx.memory.buffer);

function withBytes(data, use) {
    const pointer = zkonnx.zkonnx_alloc(data.length);
    assert.notEqual(pointer, 0);
    bytes().set(data, pointer);
    try {
        return use(pointer, data.length);
    } finally {
        zkonnx.zkonnx_dealloc(pointer, data.length);
    }
}

// Calls with a place for a pointer; gives [code, pointer].
function withPlace(use) {
    return withBytes(new Uint8Array(4), (place) => [use(place), words().getUint32(place, true)]);
}

function lastError() {
    const length = zkonnx.zkonnx_last_error_message(0, 0);
    return withBytes(new Uint8Array(length + 1), (buffer, room) => {
        zkonnx.zkonnx_last_error_message(buffer, room);
        return new TextDecoder().decode(bytes().slice(buffer, buffer + length));
    });
}

const [made, registry] = withPlace((place) => zkonnx.zkonnx_registry_new(place));
assert.equal(made, OK);

function register(zkv) {
    return withBytes(zkv, (pointer, length) =>
        withPlace((place) => zkonnx.zkonnx_registry_register(registry, pointer, length, place)));
}

// `expected` is { payee, allowHiddenOutputs }. The structure: five pointers, then two bytes.
function verify(model, proof, { now = 1000n, payee = null, allowHiddenOutputs = false } = {}) {
    const call = (payeePointer) => {
        const expected = new Uint8Array(24);
        new DataView(expected.buffer).setUint32(12, payeePointer, true);
        expected[20] = Number(allowHiddenOutputs);
        return withBytes(expected, (expectedPointer) =>
            withBytes(proof, (pointer, length) =>
                zkonnx.zkonnx_verify(model, pointer, length, now, expectedPointer, 0)));
    };
    return payee ? withBytes(payee, call) : call(0);
}

assert.equal(zkonnx.zkonnx_abi_version(), 1);
const [registered, model] = register(await read("model.zkv"));
assert.equal(registered, OK, lastError());
const [, other] = register(await read("other.zkv"));
const good = await read("good.proof");

assert.equal(verify(model, good), OK, lastError());
assert.equal(verify(model, good, { payee: new Uint8Array(32).fill(5) }), OK);
assert.equal(verify(model, good, { payee: new Uint8Array(32).fill(6) }), OTHER_PAYEE);
assert.equal(verify(model, good, { now: 2001n }), EXPIRED);
assert.equal(verify(other, good), OTHER_MODEL);
assert.equal(verify(0, good), NULL_POINTER);
const hidden = await read("hidden.proof");
assert.equal(verify(model, hidden), HIDDEN_OUTPUT);
assert.equal(verify(model, hidden, { allowHiddenOutputs: true }), OK);
for (let at = 0; at < good.length; at += Math.ceil(good.length / 32)) {
    const flipped = Uint8Array.from(good);
    flipped[at] ^= 1;
    assert.notEqual(verify(model, flipped), OK, `byte ${at}`);
    assert.notEqual(lastError(), "");
}
console.log("the module verifies");
