"""Builds the cases of the domain ai.onnx.ml: tests/ops/ml/<case>.onnx and <case>.npz, as make_op_cases.py does.

    pip install -r requirements.txt
    python make_op_cases_ml.py

Models are trained on small seeded data by scikit-learn, XGBoost and LightGBM and exported by skl2onnx and onnxmltools,
or written out node by node. Expected outputs are ONNX Runtime's; where they are strings, their places in the list of
labels. Most inputs are decimals, as measured data are, and some stand exactly at thresholds.
"""

import warnings

import lightgbm
import numpy as np
import onnx
import xgboost
from onnx import TensorProto, helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as ToolsFloat
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import SVC, SVR

from make_op_cases import ROOT, SAMPLES, Case

OPSETS = {"": 13, "ai.onnx.ml": 3}
SEED = 20261121
rng = np.random.default_rng(SEED)


def data(features, digits=2, rows=120):
    """Decimals; features differ in size, but not by much."""
    size = 10.0 ** (np.arange(features) % 3)
    return np.round(rng.normal(size=(rows, features)) * size, digits).astype(np.float32)


X = data(5)
Z = (X / 10.0 ** (np.arange(5) % 3)).astype(np.float32)
SCORE = Z[:, 0] * Z[:, 1] + np.abs(Z[:, 2]) - 0.5 * Z[:, 3] + 0.3 * np.sin(3 * Z[:, 4])
TWO = (SCORE > np.median(SCORE)).astype(int)
THREE = np.digitize(SCORE, np.quantile(SCORE, [1 / 3, 2 / 3]))
NAMES = np.array(["low", "mid", "high"])


def thresholds(model):
    """Feature and threshold of the first branches."""
    for node in model.graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if "nodes_modes" in attributes:
            for mode, feature, value in zip(*(attributes[f"nodes_{k}"] for k in ("modes", "featureids", "values"))):
                if mode != b"LEAF":
                    yield feature, value


def save(name, model, inputs, names=None):
    """Renames the one input and the outputs, runs the samples, writes both files."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    model.ir_version = 8
    session = Case(name, 13).session(model)
    kept = [o for o in session.get_outputs()]
    runs = [session.run(None, {k: v[i] for k, v in inputs.items()}) for i in range(SAMPLES)]

    def array(output, value):
        if isinstance(value, list):  # a map from labels to scores
            value = np.array([[row[k] for k in sorted(row)] for row in value], np.float32)
        if value.dtype == object or value.dtype.kind == "U":
            value = np.array([list(names).index(v) for v in value.ravel()]).reshape(value.shape)
        return value.astype(np.float32)

    results = {o.name: np.stack([array(o.name, run[i]) for run in runs]) for i, o in enumerate(kept)}
    path = ROOT / "ml" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path.with_suffix(".onnx"))
    np.savez_compressed(path.with_suffix(".npz"), **{f"in_{k}": v for k, v in inputs.items()},
                        **{f"out_{k}": v for k, v in results.items()})
    print(name, {k: v.shape for k, v in results.items()}, path.with_suffix(".onnx").stat().st_size)


def samples(x=X):
    return x[-SAMPLES:, None, :].copy()


def tree_samples(model, x=X):
    """Samples with features that stand exactly at thresholds."""
    rows = samples(x)
    for i, (feature, value) in enumerate(thresholds(model)):
        if i < SAMPLES:
            rows[i, 0, feature] = value
    return rows


def sklearn(name, model, x, y, names=None, options=None, rows=None):
    model.fit(x, y)
    if options is not None:
        options = {id(model): options}
    exported = to_onnx(model, initial_types=[("x", FloatTensorType([1, x.shape[1]]))], target_opset=OPSETS,
                       options=options)
    save(name, exported, {"x": rows(exported, x) if rows else samples(x)}, names)


def tools(name, convert, model, x, y, **options):
    model.fit(x, y)
    exported = convert(model, initial_types=[("x", ToolsFloat([1, x.shape[1]]))],
                       target_opset=OPSETS[""], **options)
    save(name, exported, {"x": tree_samples(exported, x)})


def trees():
    tools("xgboost_regressor", convert_xgboost, xgboost.XGBRegressor(n_estimators=6, max_depth=3), X, SCORE)
    tools("xgboost_two_classes", convert_xgboost, xgboost.XGBClassifier(n_estimators=5, max_depth=3), X, TWO)
    tools("lightgbm_three_classes", convert_lightgbm,
          lightgbm.LGBMClassifier(n_estimators=3, num_leaves=5, min_child_samples=5, verbose=-1), X, THREE,
          zipmap=False)
    tools("lightgbm_two_classes", convert_lightgbm,
          lightgbm.LGBMClassifier(n_estimators=3, num_leaves=5, min_child_samples=5, verbose=-1), X, TWO)
    sklearn("forest_with_names", RandomForestClassifier(5, max_depth=3, random_state=1), X, NAMES[THREE],
            names=sorted(NAMES), rows=tree_samples)
    sklearn("scaled_boosting", make_pipeline(MinMaxScaler(), StandardScaler(),
            GradientBoostingRegressor(n_estimators=5, max_depth=2, random_state=1)), X, SCORE)


def linear():
    sklearn("logistic_two_classes", make_pipeline(StandardScaler(), LogisticRegression()), X, TWO + 3)
    sklearn("logistic_three_classes", LogisticRegression(max_iter=1000), Z, THREE * 10 % 7)
    sklearn("linear_two_targets", make_pipeline(StandardScaler(), LinearRegression()), X,
            np.stack([SCORE, Z.sum(1)], 1))
    sklearn("normalized", make_pipeline(Normalizer("l2"), LogisticRegression()), Z + np.float32(0.1), THREE)


def support_vectors():
    few = slice(0, 40)
    sklearn("svr_rbf", SVR(C=2.0), Z[few], SCORE[few])
    sklearn("svc_poly_three_classes", SVC(kernel="poly", degree=2, coef0=1.0), Z[few], THREE[few],
            options={"zipmap": False, "raw_scores": True})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sklearn("svc_probabilities", SVC(probability=True, random_state=1), Z[few], TWO[few])


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, outputs[0], domain="ai.onnx.ml", **attributes)


def graph(name, nodes, inputs, outputs, ml=3, feeds=None, names=None, constants=()):
    info = helper.make_tensor_value_info
    made = helper.make_graph(nodes, name, [info(k, t, s) for k, (t, s) in inputs.items()],
                             [info(k, t, s) for k, (t, s) in outputs.items()], list(constants))
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", ml)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    save(name, model, feeds, names)


FLOAT, INT, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


def newest_trees():
    """TreeEnsemble of operator set 5, with sets of values, over two rows."""
    tensor = helper.make_tensor
    nodes = [node("TreeEnsemble", ["x"], ["y"], n_targets=2, aggregate_function=1, post_transform=0, tree_roots=[0, 2],
                  nodes_modes=tensor("m", TensorProto.UINT8, [4], [0, 6, 4, 1]),
                  nodes_featureids=[0, 1, 2, 0], nodes_splits=tensor("s", FLOAT, [4], [0.5, 0.0, 2.0, -0.25]),
                  nodes_truenodeids=[1, 0, 3, 4], nodes_trueleafs=[0, 1, 0, 1],
                  nodes_falsenodeids=[1, 2, 3, 5], nodes_falseleafs=[1, 1, 1, 1],
                  membership_values=tensor("v", FLOAT, [4], [1.0, 3.0, -2.0, np.nan]),
                  leaf_targetids=[0, 1, 0, 1, 0, 1],
                  leaf_weights=tensor("w", FLOAT, [6], [1.5, -2.0, 0.25, 4.0, -1.25, 3.0]))]
    x = rng.integers(-3, 4, (SAMPLES, 2, 3)).astype(np.float32)
    x[:, :, 0] = rng.choice([0.5, 0.25, -0.25, -0.5, 1.0], (SAMPLES, 2))
    graph("newest_trees", nodes, {"x": (FLOAT, [2, 3])}, {"y": (FLOAT, [2, 2])}, ml=5, feeds={"x": x})


def encoders():
    """Labels through encoders, columns picked and replaced."""
    constants = [helper.make_tensor("columns", INT, [2], [2, 0]), helper.make_tensor("texts", TEXT, [3],
                 [b"red", b"green", b"blue"]), helper.make_tensor("numbers", FLOAT, [3], [0.5, 4.0, -1.5])]
    nodes = [
        node("LabelEncoder", ["k"], ["coded"], keys_int64s=[1, 4, 7], values_int64s=[30, 10, 20], default_int64=5),
        node("OneHotEncoder", ["k"], ["hot"], cats_int64s=[7, 1, 2], zeros=1),
        node("Imputer", ["x"], ["full"], imputed_value_floats=[9.0, 8.0, 7.0], replaced_value_float=-1.0),
        node("ArrayFeatureExtractor", ["full", "columns"], ["picked"]),
        node("Binarizer", ["picked"], ["above"], threshold=1.5),
        helper.make_node("ArgMax", ["full"], ["place"], axis=1, keepdims=0),
        node("ArrayFeatureExtractor", ["texts", "place"], ["colour"]),
        node("LabelEncoder", ["colour"], ["number"], keys_strings=["blue", "red"], values_floats=[2.5, -1.0],
             default_float=0.5),
        node("ArrayFeatureExtractor", ["numbers", "place"], ["looked_up"]),
    ]
    feeds = {"k": rng.choice([1, 4, 7, 2, 3], (SAMPLES, 1, 2)).astype(np.int64),
             "x": rng.choice([-1.0, 0.0, 1.0, 2.0, 10.0], (SAMPLES, 1, 3)).astype(np.float32)}
    graph("encoders", nodes, {"k": (INT, [1, 2]), "x": (FLOAT, [1, 3])},
          {"coded": (INT, [1, 2]), "hot": (FLOAT, [1, 2, 3]), "above": (FLOAT, [1, 2]), "colour": (TEXT, [1, 1]),
           "number": (FLOAT, [1, 1]), "looked_up": (FLOAT, [1, 1])}, ml=2, feeds=feeds, names=["red", "green", "blue"],
          constants=constants)


def main():
    trees()
    linear()
    support_vectors()
    newest_trees()
    encoders()


if __name__ == "__main__":
    main()
