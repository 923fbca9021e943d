//! What the nodes of a graph, of a subgraph, or of a function see by name.

use super::{
    context::{Context, Outputs},
    element::Element,
    error::{ImportError, NodeProblem},
    graph::ValueId,
    import::{declared_type, domain, Importer},
};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};
use tract_onnx::pb::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};

/// Subgraphs and functions may be nested as deeply as this.
const MAX_DEPTH: usize = 32;
/// All constants that are computed within subgraphs and functions may together have as many elements as this.
const MAX_ELEMENTS: usize = 1 << 26;

/// A name that meant something else outside of a subgraph.
enum Shadowed {
    Value(String, Option<Option<ValueId>>),
    Type(String, Option<Element>),
}

/// The names that nodes see.
#[derive(Default)]
pub(crate) struct Scope {
    /// Values by name; `None` is the result of an unsupported node.
    pub(crate) names: HashMap<String, Option<ValueId>>,
    /// Element types by the names of values.
    pub(crate) types: HashMap<String, Element>,
    /// Inputs of a function that a call leaves out.
    pub(crate) absent: HashSet<String>,
    /// Versions of operator sets by domain; the default domain is empty.
    opsets: HashMap<String, i64>,
    /// Within a function: the attributes of the call, by name.
    attributes: Option<HashMap<String, AttributeProto>>,
    /// What names meant before, within subgraphs.
    shadowed: Vec<Shadowed>,
    /// How deeply nested.
    depth: usize,
    /// Elements of constants that were computed within subgraphs and functions.
    spent: usize,
}

impl Scope {
    pub(crate) fn new(opsets: &[OperatorSetIdProto]) -> Self {
        let opsets = opsets.iter().map(|o| (domain(&o.domain).to_owned(), o.version)).collect();
        Self { opsets, ..Self::default() }
    }
    /// The version of a domain's operator set.
    pub(crate) fn opset(&self, domain: &str) -> i64 {
        self.opsets.get(domain).copied().unwrap_or(1)
    }
    /// Names a value, or the result of an unsupported node.
    pub(crate) fn set(&mut self, name: &str, value: Option<ValueId>) {
        let before = self.names.insert(name.into(), value);
        if self.depth > 0 {
            self.shadowed.push(Shadowed::Value(name.into(), before));
        }
    }
    pub(crate) fn set_type(&mut self, name: &str, element: Element) {
        let before = self.types.insert(name.into(), element);
        if self.depth > 0 {
            self.shadowed.push(Shadowed::Type(name.into(), before));
        }
    }
    /// The node's outputs are results of an unsupported node.
    pub(crate) fn unknown(&mut self, node: &NodeProto) {
        for output in &node.output {
            self.set(output, None);
        }
    }
    /// Counts a constant's elements.
    pub(crate) fn spend(&mut self, shape: &[usize]) -> Result<(), NodeProblem> {
        if self.depth > 0 {
            self.spent = self.spent.saturating_add(shape.iter().product());
        }
        if self.spent > MAX_ELEMENTS {
            return Err(NodeProblem::Unrolled);
        }
        Ok(())
    }
    /// Gives names back their meaning outside of a subgraph.
    fn leave(&mut self, since: usize) {
        fn put<T>(map: &mut HashMap<String, T>, name: String, before: Option<T>) {
            match before {
                Some(before) => map.insert(name, before),
                None => map.remove(&name),
            };
        }
        for shadowed in self.shadowed.split_off(since).into_iter().rev() {
            match shadowed {
                Shadowed::Value(name, before) => put(&mut self.names, name, before),
                Shadowed::Type(name, before) => put(&mut self.types, name, before),
            }
        }
        self.depth -= 1;
    }
    /// The node with the attributes that it takes from the call of its function.
    pub(crate) fn resolve<'a>(&self, node: &'a NodeProto) -> Cow<'a, NodeProto> {
        match &self.attributes {
            Some(call) if node.attribute.iter().any(|a| !a.ref_attr_name.is_empty()) => {
                let mut node = node.clone();
                node.attribute = node.attribute.into_iter().filter_map(|a| resolved(a, call)).collect();
                Cow::Owned(node)
            }
            _ => Cow::Borrowed(node),
        }
    }
}

/// An attribute as the call of a function has it; `None` where the call leaves it out.
fn resolved(attribute: AttributeProto, call: &HashMap<String, AttributeProto>) -> Option<AttributeProto> {
    if attribute.ref_attr_name.is_empty() {
        return Some(attribute);
    }
    call.get(&attribute.ref_attr_name).map(|given| AttributeProto { name: attribute.name, ..given.clone() })
}

/// Values of a subgraph or function, and their element types.
pub(crate) type Results = Vec<(ValueId, Element)>;

/// A graph within an attribute, with its constants read: once, however often it runs.
pub(crate) struct Subgraph<'a> {
    pub(crate) graph: &'a GraphProto,
    constants: Vec<(&'a str, (ValueId, Element))>,
}

impl Importer {
    /// Reads the constants of a subgraph.
    pub(crate) fn subgraph<'a>(&mut self, graph: &'a GraphProto) -> Result<Subgraph<'a>, NodeProblem> {
        let mut constants = Vec::new();
        for proto in &graph.initializer {
            let (id, element) = self.initializer(proto).map_err(body)?;
            self.scope.spend(self.graph.shape(id))?;
            constants.push((proto.name.as_str(), (id, element)));
        }
        Ok(Subgraph { graph, constants })
    }

    /// The outputs of a subgraph (a branch, the body of a loop) whose inputs are these values; it also sees all
    /// values of the graph around it.
    ///
    /// # Errors
    /// [`NodeProblem::Noted`] when something in it is not supported: that is listed.
    pub(crate) fn run(
        &mut self,
        Subgraph { graph, constants }: &Subgraph<'_>,
        inputs: &[(ValueId, Element)],
    ) -> Result<Results, NodeProblem> {
        if self.scope.depth >= MAX_DEPTH {
            return Err(NodeProblem::Unrolled);
        }
        self.count()?;
        let since = self.scope.shadowed.len();
        self.scope.depth += 1;
        for (name, (id, element)) in constants {
            self.scope.set(name, Some(*id));
            self.scope.set_type(name, *element);
        }
        for (info, (id, element)) in graph.input.iter().zip(inputs) {
            self.scope.set(&info.name, Some(*id));
            let declared = declared_type(info);
            self.scope.set_type(&info.name, if declared == Element::UNKNOWN { *element } else { declared });
        }
        self.nodes(&graph.node).map_err(body)?;
        let results = self.results(graph.output.iter().map(|o| o.name.as_str()));
        self.scope.leave(since);
        results
    }

    /// Values by name.
    fn results<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<Results, NodeProblem> {
        let result = |name: &str| match self.scope.names.get(name) {
            Some(Some(id)) => Ok((*id, self.scope.types.get(name).copied().unwrap_or_default())),
            Some(None) => Err(NodeProblem::Noted),
            None => Err(body(ImportError::MissingOutput(name.into()))),
        };
        names.map(result).collect()
    }

    /// The outputs of a call of a function.
    fn call(
        &mut self,
        function: &FunctionProto,
        node: &NodeProto,
        inputs: &[(Option<ValueId>, Element)],
    ) -> Result<Results, NodeProblem> {
        if self.scope.depth >= MAX_DEPTH {
            return Err(NodeProblem::Unrolled);
        }
        let (depth, spent) = (self.scope.depth + 1, self.scope.spent);
        let mut inner = Scope { depth, spent, ..Scope::new(&function.opset_import) };
        for (i, name) in function.input.iter().enumerate() {
            match inputs.get(i) {
                Some((Some(id), element)) => {
                    inner.set(name, Some(*id));
                    inner.set_type(name, *element);
                }
                _ => {
                    inner.absent.insert(name.clone());
                }
            }
        }
        let given = node.attribute.iter().map(|a| (a.name.clone(), a.clone()));
        inner.attributes = Some(given.collect());
        let outer = std::mem::replace(&mut self.scope, inner);
        let done = self.nodes(&function.node).map_err(body);
        let results = done.and_then(|()| self.results(function.output.iter().map(String::as_str)));
        let inner = std::mem::replace(&mut self.scope, outer);
        self.scope.spent = inner.spent;
        results
    }
}

fn body(error: ImportError) -> NodeProblem {
    NodeProblem::Body(Box::new(error))
}

/// Imports the call of a function of the model.
pub(crate) fn import_call(c: &mut Context<'_>) -> Outputs {
    let function = c.importer.functions.find(domain(&c.node.domain), &c.node.op_type);
    let function = function.ok_or(NodeProblem::Variant("a function that is defined more than once"))?;
    if !refers_to_its_own(&function) {
        return Err(NodeProblem::Variant("a function whose attributes have default values"));
    }
    let elements = (0..c.inputs.len()).map(|i| c.element(i));
    let inputs: Vec<(Option<ValueId>, Element)> = c.inputs.iter().copied().zip(elements).collect();
    let results = c.importer.call(&function, c.node, &inputs)?;
    Ok(c.typed(results))
}

/// Whether all attributes that the nodes refer to are those without a default: others are not read.
fn refers_to_its_own(function: &FunctionProto) -> bool {
    fn known(nodes: &[NodeProto], own: &[String]) -> bool {
        nodes.iter().flat_map(|n| &n.attribute).all(|a| {
            let graphs = a.g.iter().chain(&a.graphs);
            (a.ref_attr_name.is_empty() || own.contains(&a.ref_attr_name))
                && graphs.into_iter().all(|g| known(&g.node, own))
        })
    }
    known(&function.node, &function.attribute)
}

/// The functions of a model, by domain and name; none where several have one name.
#[derive(Clone, Default)]
pub(crate) struct Functions(HashMap<(String, String), Option<Arc<FunctionProto>>>);

impl Functions {
    pub(crate) fn new(model: &ModelProto) -> Self {
        let mut functions = HashMap::new();
        for function in &model.functions {
            let key = (
                domain(function.domain.as_deref().unwrap_or("")).to_owned(),
                function.name.clone().unwrap_or_default(),
            );
            // tract does not tell overloads apart.
            let several = functions.contains_key(&key);
            functions.insert(key, (!several).then(|| Arc::new(function.clone())));
        }
        Self(functions)
    }
    /// The function of this name.
    pub(crate) fn find(&self, domain: &str, name: &str) -> Option<Arc<FunctionProto>> {
        self.0.get(&(domain.to_owned(), name.to_owned())).cloned().flatten()
    }
}
