"""The kinds that are served."""

from dataclasses import dataclass
from functools import cached_property

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Kind:
    """One kind of object: where it is served and under which names."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    """`status`, `scale`, `log`, `token`."""
    categories: tuple[str, ...] = ()
    stored: bool = True
    """False: a review, answered and forgotten."""

    @cached_property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def document(self) -> str:
        """Path of the OpenAPI document, `api/v1`, `apis/apps/v1`."""
        return f"apis/{self.api_version}" if self.group else f"api/{self.version}"

    @cached_property
    def qualified(self) -> str:
        """The resource with its group, as messages name it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


ALL = ("all",)
STATUS = ("status",)
RBAC = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"
AUTHORIZATION = "authorization.k8s.io"

NAMESPACE = Kind("", "v1", "namespaces", "Namespace", False, ("ns",), STATUS)
NODE = Kind("", "v1", "nodes", "Node", False, ("no",), STATUS)
POD = Kind("", "v1", "pods", "Pod", True, ("po",), ("status", "log", "binding", "eviction"), ALL)
SERVICE = Kind("", "v1", "services", "Service", True, ("svc",), STATUS, ALL)
ENDPOINTS = Kind("", "v1", "endpoints", "Endpoints", True, ("ep",))
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap", True, ("cm",))
SECRET = Kind("", "v1", "secrets", "Secret")
SERVICE_ACCOUNT = Kind("", "v1", "serviceaccounts", "ServiceAccount", True, ("sa",), ("token",))
EVENT = Kind("", "v1", "events", "Event", True, ("ev",))
CLAIM = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, ("pvc",), STATUS)
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment", True, ("deploy",), ("status", "scale"), ALL)
REPLICA_SET = Kind("apps", "v1", "replicasets", "ReplicaSet", True, ("rs",), ("status", "scale"), ALL)
STATEFUL_SET = Kind("apps", "v1", "statefulsets", "StatefulSet", True, ("sts",), ("status", "scale"), ALL)
DAEMON_SET = Kind("apps", "v1", "daemonsets", "DaemonSet", True, ("ds",), STATUS, ALL)
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True, ("netpol",))
DISRUPTION_BUDGET = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True, ("pdb",), STATUS)
ROLE = Kind(RBAC, "v1", "roles", "Role")
ROLE_BINDING = Kind(RBAC, "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLE = Kind(RBAC, "v1", "clusterroles", "ClusterRole", False)
CLUSTER_ROLE_BINDING = Kind(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", False)
POLICY = Kind(ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False, (), STATUS)
POLICY_BINDING = Kind(ADMISSION, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", False)
SELF_ACCESS_REVIEW = Kind(AUTHORIZATION, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False, stored=False)
SELF_RULES_REVIEW = Kind(AUTHORIZATION, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False, stored=False)
ACCESS_REVIEW = Kind(AUTHORIZATION, "v1", "subjectaccessreviews", "SubjectAccessReview", False, stored=False)
SELF_REVIEW = Kind("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", False, stored=False)
TOKEN_REVIEW = Kind("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False, stored=False)

_OBJECTS = (NAMESPACE, NODE, POD, SERVICE, ENDPOINTS, CONFIG_MAP, SECRET, SERVICE_ACCOUNT, EVENT, CLAIM)
_WORKLOADS = (DEPLOYMENT, REPLICA_SET, STATEFUL_SET, DAEMON_SET, LEASE, NETWORK_POLICY, DISRUPTION_BUDGET)
_RULES = (ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, POLICY, POLICY_BINDING)
_REVIEWS = (SELF_ACCESS_REVIEW, SELF_RULES_REVIEW, ACCESS_REVIEW, SELF_REVIEW, TOKEN_REVIEW)
KINDS: tuple[Kind, ...] = (*_OBJECTS, *_WORKLOADS, *_RULES, *_REVIEWS)
BY_PATH = {(kind.api_version, kind.plural): kind for kind in KINDS}
BY_KIND = {(kind.api_version, kind.kind): kind for kind in KINDS}
GROUP_VERSIONS = tuple(dict.fromkeys(kind.api_version for kind in KINDS))
