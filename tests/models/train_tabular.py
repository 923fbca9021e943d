"""Trains the tree ensembles among the fixture models and writes the committed files.

Data are scikit-learn's own copies, with the features as measured: diabetes (442 patients, 10 features) and the
Wisconsin diagnostic breast cancer set (569 tumours, 30 features).

    pip install -r requirements.txt
    python train_tabular.py

For each model M: M.onnx (by skl2onnx, batch fixed at 1), M_calibration.npz (all training rows under the input's
name), M_heldout.npz (`features` and `target` of the quarter of the rows that was set aside) and M_expected.npz (ONNX
Runtime's outputs on the held-out rows). Seeds are fixed.
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.metrics import accuracy_score, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20261121
INPUT = "features"


def diabetes():
    data = load_diabetes(scaled=False)
    model = GradientBoostingRegressor(n_estimators=200, max_depth=6, learning_rate=0.02, subsample=0.8,
                                      max_features=3, random_state=SEED)
    return data.data.astype(np.float32), data.target.astype(np.float32), None, model


def cancer():
    data = load_breast_cancer()  # target: 0 malignant, 1 benign
    # Leaves of two rows and more are not all pure, so that no vote of the even number of trees is a draw.
    model = RandomForestClassifier(n_estimators=100, min_samples_leaf=2, random_state=SEED)
    return data.data.astype(np.float32), data.target.astype(np.uint8), data.target, model


MODELS = {"diabetes_gbr": diabetes, "cancer_forest": cancer}


def export(name, model, features):
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else None
    exported = to_onnx(model, initial_types=[(INPUT, FloatTensorType([1, features]))], options=options,
                       target_opset={"": 13, "ai.onnx.ml": 1})
    exported.graph.name = name
    exported.ir_version = 8
    onnx.checker.check_model(exported, full_check=True)
    onnx.save(exported, HERE / f"{name}.onnx")


def run(name, rows):
    """ONNX Runtime's outputs by name, one run per row, joined along the batch axis."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # trees are summed in one order
    session = onnxruntime.InferenceSession(HERE / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    runs = [session.run(names, {INPUT: row[None]}) for row in rows]
    return dict(zip(names, map(np.concatenate, zip(*runs))))


def main():
    for name, load in MODELS.items():
        x, y, classes, model = load()
        x, held, y, target = train_test_split(x, y, test_size=0.25, random_state=SEED, stratify=classes)
        model.fit(x, y)
        export(name, model, x.shape[1])
        outputs = run(name, held)
        np.savez_compressed(HERE / f"{name}_calibration.npz", **{INPUT: x})
        np.savez_compressed(HERE / f"{name}_heldout.npz", **{INPUT: held, "target": target})
        np.savez_compressed(HERE / f"{name}_expected.npz", **outputs)
        trees = [tree.tree_ for tree in np.ravel(model.estimators_)]
        print(f"{name}: {len(x)} training rows, {len(held)} held out, {len(trees)} trees, "
              f"{sum(tree.node_count for tree in trees)} nodes, {sum(tree.n_leaves for tree in trees)} leaves, "
              f"depth at most {max(tree.max_depth for tree in trees)}")
        if classes is None:
            found = outputs["variable"][:, 0]
            print(f"  R2 {r2_score(target, found):.4f}, RMSE {root_mean_squared_error(target, found):.2f}, "
                  f"training R2 {model.score(x, y):.4f}, "
                  f"from scikit-learn's at most {np.abs(found - model.predict(held)).max():.2g}")
        else:
            far = np.abs(outputs["probabilities"] - model.predict_proba(held)).max()
            print(f"  accuracy {accuracy_score(target, outputs['label']):.4f}, from scikit-learn's at most {far:.2g}")


if __name__ == "__main__":
    main()
