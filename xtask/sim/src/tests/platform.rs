//! Vault in its pod, admission, tokens, and what uninstalling leaves.
//! Knows nothing of plans.

use super::*;

const K: &str = "kubectl --kubeconfig app1.yaml --request-timeout 10s";
const APPLY: &str = "kubectl --kubeconfig app1.yaml apply --server-side --filename -";
const STATUS: &str = "-- sh -c 'vault status -format=json || [ $? -eq 2 ]'";
const CLASS: &str = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: local-path}}";
const POLICIES: &str = include_str!("../../../../infra/manifests/policies.yaml");

/// A node that is ready, with storage.
fn scene() -> Scene {
    let mut scene = Scene::clustered();
    scene.pull_cilium();
    install(&mut scene, "cilium", "https://helm.cilium.io", "1.20.0", "kube-system", "{}");
    scene.ok(&format!("{K} wait --for condition=Ready nodes --all --timeout 5m"));
    scene
}

fn install(scene: &mut Scene, chart: &str, from: &str, version: &str, namespace: &str, values: &str) {
    let pull = if from.starts_with("oci:") {
        format!("helm pull {from}/{chart} --version {version} --destination out/charts")
    } else {
        format!("helm pull {chart} --repo {from} --version {version} --destination out/charts")
    };
    scene.ok(&pull);
    let up = format!(
        "helm upgrade --install {chart} out/charts/{chart}-{version}.tgz --kubeconfig app1.yaml \
         --namespace {namespace} --create-namespace --values -"
    );
    let output = scene.fed(&up, values);
    assert!(output.ok(), "{output:?}");
}

fn storage(scene: &mut Scene) {
    let from = "oci://ghcr.io/rancher/local-path-provisioner/charts";
    install(scene, "local-path-provisioner", from, "0.0.37", "local-path-storage", "{}");
}

fn vault() -> Scene {
    let mut scene = scene();
    storage(&mut scene);
    let values = "{server: {dataStorage: {storageClass: local-path}}}";
    install(&mut scene, "vault", "https://helm.releases.hashicorp.com", "0.34.1", "vault", values);
    scene
}

fn exec(line: &str) -> String {
    format!("{K} exec --stdin --namespace vault vault-0 --container vault {line}")
}

fn status(scene: &mut Scene) -> (bool, bool) {
    let output = scene.ok(&exec(STATUS));
    let status: serde_json::Value = serde_json::from_str(&output).unwrap();
    (status["initialized"] == true, status["sealed"] == true)
}

fn script(rest: &str) -> String {
    exec(&format!("-- sh -c 'read -r VAULT_TOKEN; export VAULT_TOKEN; {rest}'"))
}

/// Who looks at a cluster at rest is not kept by going through it; what somebody does there ends the rest.
#[test]
fn a_cluster_rests_until_somebody_takes_hold_of_it() {
    let mut scene = scene();
    let nodes = format!("{K} get pods --all-namespaces --output 'jsonpath={{.items[*].spec.nodeName}}'");
    scene.pass(120);
    let before = scene.ok(&nodes);
    let rests = |scene: &Scene| scene.world.stage().rests.len();
    assert_eq!(rests(&scene), 1, "{before}");
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: default}, \
        spec: {replicas: 2, template: {spec: {containers: [{name: a, image: a}]}}}}";
    assert!(scene.fed(APPLY, deployment).ok());
    assert_eq!(scene.ok(&nodes), format!("{before} app1-cp app1-cp"), "both have a place at the next look");
    scene.ok("multipass stop app1-cp");
    scene.ok("multipass start app1-cp");
    scene.pass(120);
    assert_eq!(scene.ok(&nodes), format!("{before} app1-cp app1-cp"));
    assert_eq!(rests(&scene), 1);
    scene.ok(&format!("{K} delete deployment a --namespace default"));
    assert_eq!(scene.ok(&nodes), before);
}

#[test]
fn vault_is_there_when_its_pod_runs_and_not_before() {
    let mut scene = scene();
    scene.no(&exec(STATUS), 1, "Error from server (NotFound): pods \"vault-0\" not found");
    let mut scene = vault();
    scene.no(&exec(STATUS), 1, "Error from server (BadRequest): pod vault-0 does not have a host assigned");
    scene.pass(30);
    scene.no(&exec(STATUS), 1, "error: unable to upgrade connection: container not found (\"vault\")");
    scene.pass(120);
    assert_eq!(status(&mut scene), (false, true));
    scene.no(&exec("-- vault status -format=json"), 2, "command terminated with exit code 2");
    let rollout = format!("{K} rollout status statefulset/vault --namespace vault --timeout 20s");
    scene.no(&rollout, 1, "timed out waiting for the condition");
}

#[test]
fn vault_opens_with_its_key_until_its_pod_restarts() {
    let mut scene = vault();
    scene.pass(120);
    let init = exec("-- vault operator init -key-shares=1 -key-threshold=1 -format=json");
    let keys: serde_json::Value = serde_json::from_str(&scene.ok(&init)).unwrap();
    scene.no(&init, 2, "* Vault is already initialized");
    scene.no(&exec("-- cat /vault/data/answer"), 1, "No such file or directory");
    scene.ok(&exec("-- test ! -e /vault/data/answer"));
    let (key, token) = (keys["unseal_keys_b64"][0].as_str().unwrap(), keys["root_token"].as_str().unwrap());
    assert!(key.len() == 44 && token.starts_with("hvs."));
    let read = script("exec vault read -format=json sys/mounts/secret");
    scene.no_fed(&read, &format!("{token}\n"), 2, "* Vault is sealed");
    let unseal = exec("-- vault write sys/unseal -");
    scene.no_fed(&unseal, "{\"key\":\"wrong\"}\n", 2, "failed to unseal");
    assert!(scene.fed(&unseal, &format!("{{\"key\":\"{key}\"}}\n")).ok());
    assert_eq!(status(&mut scene), (true, false));
    scene.ok(&format!("{K} rollout status statefulset/vault --namespace vault --timeout 20s"));
    scene.no_fed(&read, "hvs.other\n", 2, "* permission denied");
    scene.no_fed(&read, &format!("{token}\n"), 2, "* No secret engine mount at secret/");
    scene.ok("multipass stop app1-cp");
    scene.ok("multipass start app1-cp");
    scene.pass(120);
    assert_eq!(status(&mut scene), (true, true));
    assert!(scene.fed(&unseal, &format!("{{\"key\":\"{key}\"}}\n")).ok());
    scene.ok(&format!("{K} delete pod vault-0 --namespace vault"));
    scene.pass(60);
    assert_eq!(status(&mut scene), (true, true));
}

#[test]
fn vault_keeps_what_is_written_where_something_is_mounted() {
    let mut scene = vault();
    scene.pass(120);
    let init = "vault operator init -key-shares=1 -key-threshold=1 -format=json";
    let kept = "umask 077; INIT >/vault/data/a.new && mv /vault/data/a.new /vault/data/a && cat /vault/data/a";
    let answer = scene.ok(&exec(&format!("-- sh -c '{}'", kept.replace("INIT", init))));
    assert_eq!(scene.ok(&exec("-- cat /vault/data/a")), answer);
    scene.no(&exec("-- test ! -e /vault/data/a"), 1, "exit code 1");
    scene.ok(&exec("-- rm -f /vault/data/a"));
    scene.ok(&exec("-- test ! -e /vault/data/a"));
    let keys: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let token = keys["root_token"].as_str().unwrap().to_owned();
    let key = format!("{{\"key\":{}}}\n", keys["unseal_keys_b64"][0]);
    assert!(scene.fed(&exec("-- vault write sys/unseal -"), &key).ok());
    let write = |path: &str| script(&format!("exec vault write {path} -"));
    let sample = "{\"data\":{\"password\":\"x\"},\"options\":{\"cas\":0}}";
    let fed = |body: &str| format!("{token}\n{body}\n");
    scene.no_fed(&write("secret/data/sample"), &fed(sample), 2, "no handler for route \"secret/data/sample\"");
    let kv = fed("{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    assert!(scene.fed(&write("sys/mounts/secret"), &kv).ok());
    scene.no_fed(&write("sys/mounts/secret"), &kv, 2, "path is already in use at secret/");
    assert!(scene.fed(&write("secret/data/sample"), &fed(sample)).ok());
    scene.no_fed(&write("secret/data/sample"), &fed(sample), 2, "check-and-set parameter did not match");
    let read = script("exec vault read -format=json secret/metadata/sample");
    assert!(scene.fed(&read, &fed("")).stdout.contains("\"current_version\":1"));
    scene.no_fed(&script("exec vault read -format=json auth/app1/role/x"), &fed(""), 2, "No value found at");
    scene.no_fed(&script("rm -rf /"), &fed(""), 127, "not found");
    assert_eq!(scene.world.unknown().len(), 1);
}

#[test]
fn a_pod_that_offends_is_refused_and_a_controller_only_warned_about() {
    let mut scene = scene();
    let namespace = "{apiVersion: v1, kind: Namespace, \
        metadata: {name: a, labels: {pod-security.kubernetes.io/enforce: baseline}}}";
    assert!(scene.fed(APPLY, namespace).ok());
    let spec = "{hostNetwork: true, containers: [{name: c, securityContext: {privileged: true}}]}";
    let pod = format!("{{apiVersion: v1, kind: Pod, metadata: {{name: priv, namespace: a}}, spec: {spec}}}");
    let words = "pods \"priv\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces \
        (hostNetwork=true), privileged (container \"c\" must not set securityContext.privileged=true)";
    scene.no_fed(APPLY, &pod, 1, words);
    scene.no_fed(&format!("{APPLY} --dry-run=server"), &pod, 1, words);
    let deployment = format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d, namespace: a}}, \
         spec: {{template: {{spec: {spec}}}}}}}"
    );
    let output = scene.fed(APPLY, &deployment);
    assert!(output.ok() && output.stderr.starts_with("Warning: would violate PodSecurity \"baseline:latest\""));
    let events = scene.ok(&format!("{K} get events --namespace a --output json"));
    assert!(events.contains("FailedCreate"), "{events}");
    // After the label is right, the controller still sits out its back-off (measured: 85 s and more).
    scene.pass(600);
    scene.ok(&format!("{K} get events --namespace a"));
    scene.ok(&format!("{K} label namespace a pod-security.kubernetes.io/enforce=privileged"));
    let rollout = format!("{K} rollout status deployment/d --namespace a --timeout 60s");
    scene.no(&rollout, 1, "timed out");
    scene.ok(&format!("{K} rollout restart deployment/d --namespace a"));
    scene.ok(&rollout);
}

fn with_image(image: &str, namespace: &str) -> String {
    let resources = "{requests: {cpu: 1m, memory: 1Mi}, limits: {memory: 1Mi}}";
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: {namespace}}}, \
         spec: {{containers: [{{name: c, image: '{image}', resources: {resources}}}]}}}}"
    )
}

#[test]
fn kyverno_refuses_what_its_policies_deny_where_its_webhook_looks() {
    let mut scene = scene();
    scene.no_fed(APPLY, POLICIES, 1, "no matches for kind \"ValidatingPolicy\"");
    let excluded = "{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, kyverno]}";
    let values = format!("{{config: {{webhooks: {{namespaceSelector: {{matchExpressions: [{excluded}]}}}}}}}}");
    install(&mut scene, "kyverno", "https://kyverno.github.io/kyverno", "3.9.0", "kyverno", &values);
    assert!(scene.fed(APPLY, POLICIES).ok());
    let dry = format!("{APPLY} --dry-run=server");
    let latest = with_image("docker.io/library/nginx:latest", "default");
    // Its webhook is made by Kyverno itself, when it first runs.
    assert!(scene.fed(&dry, &latest).ok());
    scene.pass(60);
    scene.no_fed(&dry, &latest, 1, "Policy image-tags failed: every image needs a tag other than latest, or a digest");
    assert!(scene.fed(&dry, &with_image("docker.io/library/nginx:1.29", "default")).ok());
    assert!(scene.fed(&dry, &with_image("docker.io/library/nginx:latest", "kube-system")).ok());
    scene.no_fed(&dry, &with_image("nginx:1.29", "default"), 1, "Policy image-registries failed: every image must");
    let bare = with_image("docker.io/library/nginx:1.29", "default").replace("limits", "other");
    scene.no_fed(&dry, &bare, 1, "Policy resources failed: every container must set resources.limits.memory");
    scene.ok(&format!("{K} rollout restart deployment/kyverno-admission-controller --namespace kyverno"));
    let words = "failed calling webhook \"vpol.validate.kyverno.svc-fail\"";
    scene.no_fed(&dry, &with_image("docker.io/library/nginx:1.29", "default"), 1, words);
    scene.ok("helm uninstall kyverno --namespace kyverno --kubeconfig app1.yaml");
    assert!(scene.fed(&dry, &latest).ok());
}

#[test]
fn a_token_is_filled_in_for_an_account_that_is_there() {
    let mut scene = Scene::clustered();
    let secret = "{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: t, \
        namespace: default, annotations: {kubernetes.io/service-account.name: robot}}}";
    let get = format!("{K} get secret t --namespace default --output 'go-template={{{{.data.token | base64decode}}}}'");
    scene.no(&get, 1, "NotFound");
    assert!(scene.fed(APPLY, secret).ok());
    scene.no(&get, 1, "error executing template");
    let account = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot, namespace: default}}";
    assert!(scene.fed(APPLY, account).ok());
    let token = scene.ok(&get);
    assert!(token.starts_with("eyJ") && token.split('.').count() == 3 && !token.ends_with('\n'), "{token}");
    // Applying it again leaves the token alone.
    assert!(scene.fed(APPLY, secret).ok());
    assert_eq!(scene.ok(&get), token);
    assert!(scene.fed(&APPLY.replace("apply", "diff"), secret).ok());
}

#[test]
fn claims_of_a_stateful_set_outlive_its_release() {
    let mut scene = vault();
    scene.no_fed(APPLY, CLASS, 0, "");
    scene.pass(120);
    scene.ok("helm uninstall vault --namespace vault --kubeconfig app1.yaml");
    let claims = format!("{K} get pvc --namespace vault --output name");
    assert_eq!(scene.ok(&claims), "persistentvolumeclaim/data-vault-0\n");
    scene.no(&exec(STATUS), 1, "pods \"vault-0\" not found");
}

#[test]
fn docker_runs_what_compose_is_told() {
    let mut scene = Scene::new();
    assert!(scene.ok("docker version --format json").contains("Server"));
    assert_eq!(scene.ok("docker compose version --short"), "2.39.1\n");
    let ps = "docker compose --file infra/docker/compose.yaml ps --services --status running";
    assert_eq!(scene.ok(ps), "");
    scene.ok("docker compose --file infra/docker/compose.yaml up --detach --wait --wait-timeout 600 nexus");
    assert_eq!(scene.ok(ps), "nexus\n");
    scene.no("docker frob", 1, "unknown docker command");
}
