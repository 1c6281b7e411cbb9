//! Vault in its pod, admission, tokens, and what uninstalling leaves.

use super::*;

const K: &str = "kubectl --kubeconfig app1.yaml --request-timeout 10s";
const APPLY: &str = "kubectl --kubeconfig app1.yaml apply --server-side --filename -";
const STATUS: &str = "-- sh -c 'vault status -format=json || [ $? -eq 2 ]'";
const CLASS: &str = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: local-path}}";
const POLICIES: &str = include_str!("../../../../infra/manifests/policies.yaml");

fn fixture() -> Fixture {
    let mut sim = Fixture::with_control_plane();
    sim.pull_cilium();
    install(&mut sim, "cilium", "https://helm.cilium.io", "1.20.0", "kube-system", "{}");
    sim.ok(&format!("{K} wait --for condition=Ready nodes --all --timeout 5m"));
    sim
}

fn install(sim: &mut Fixture, chart: &str, from: &str, version: &str, namespace: &str, values: &str) {
    let pull = if from.starts_with("oci:") {
        format!("helm pull {from}/{chart} --version {version} --destination out/charts")
    } else {
        format!("helm pull {chart} --repo {from} --version {version} --destination out/charts")
    };
    sim.ok(&pull);
    let up = format!(
        "helm upgrade --install {chart} out/charts/{chart}-{version}.tgz --kubeconfig app1.yaml \
         --namespace {namespace} --create-namespace --values -"
    );
    let output = sim.run_with_stdin(&up, values);
    assert!(output.ok(), "{output:?}");
}

fn storage(sim: &mut Fixture) {
    let from = "oci://ghcr.io/rancher/local-path-provisioner/charts";
    install(sim, "local-path-provisioner", from, "0.0.37", "local-path-storage", "{}");
}

fn vault() -> Fixture {
    let mut sim = fixture();
    storage(&mut sim);
    let values = "{server: {dataStorage: {storageClass: local-path}}}";
    install(&mut sim, "vault", "https://helm.releases.hashicorp.com", "0.34.1", "vault", values);
    sim
}

fn exec(line: &str) -> String {
    format!("{K} exec --stdin --namespace vault vault-0 --container vault {line}")
}

fn status(sim: &mut Fixture) -> (bool, bool) {
    let output = sim.ok(&exec(STATUS));
    let status: serde_json::Value = serde_json::from_str(&output).unwrap();
    (status["initialized"] == true, status["sealed"] == true)
}

fn script(rest: &str) -> String {
    exec(&format!("-- sh -c 'read -r VAULT_TOKEN; export VAULT_TOKEN; {rest}'"))
}

#[test]
fn a_settled_cluster_follows_later_changes() {
    let mut sim = fixture();
    let nodes = format!("{K} get pods --all-namespaces --output 'jsonpath={{.items[*].spec.nodeName}}'");
    sim.advance(120);
    let before = sim.ok(&nodes);
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: default}, \
        spec: {replicas: 2, template: {spec: {containers: [{name: a, image: a}]}}}}";
    assert!(sim.run_with_stdin(APPLY, deployment).ok());
    assert_eq!(sim.ok(&nodes), format!("{before} app1-cp app1-cp"), "both have a place at the next look");
    sim.ok("multipass stop app1-cp");
    sim.ok("multipass start app1-cp");
    sim.advance(120);
    assert_eq!(sim.ok(&nodes), format!("{before} app1-cp app1-cp"));
    sim.ok(&format!("{K} delete deployment a --namespace default"));
    assert_eq!(sim.ok(&nodes), before);
}

#[test]
fn vault_is_there_when_its_pod_runs_and_not_before() {
    let mut sim = fixture();
    sim.fails(&exec(STATUS), 1, "Error from server (NotFound): pods \"vault-0\" not found");
    let mut sim = vault();
    sim.fails(&exec(STATUS), 1, "Error from server (BadRequest): pod vault-0 does not have a host assigned");
    sim.advance(30);
    sim.fails(&exec(STATUS), 1, "error: unable to upgrade connection: container not found (\"vault\")");
    sim.advance(120);
    assert_eq!(status(&mut sim), (false, true));
    sim.fails(&exec("-- vault status -format=json"), 2, "command terminated with exit code 2");
    let rollout = format!("{K} rollout status statefulset/vault --namespace vault --timeout 20s");
    sim.fails(&rollout, 1, "timed out waiting for the condition");
}

#[test]
fn vault_opens_with_its_key_until_its_pod_restarts() {
    let mut sim = vault();
    sim.advance(120);
    let init = exec("-- vault operator init -key-shares=1 -key-threshold=1 -format=json");
    let keys: serde_json::Value = serde_json::from_str(&sim.ok(&init)).unwrap();
    sim.fails(&init, 2, "* Vault is already initialized");
    sim.fails(&exec("-- cat /vault/data/answer"), 1, "No such file or directory");
    sim.ok(&exec("-- test ! -e /vault/data/answer"));
    let (key, token) = (keys["unseal_keys_b64"][0].as_str().unwrap(), keys["root_token"].as_str().unwrap());
    assert!(key.len() == 44 && token.starts_with("hvs."));
    let read = script("exec vault read -format=json sys/mounts/secret");
    sim.fails_with_stdin(&read, &format!("{token}\n"), 2, "* Vault is sealed");
    let unseal = exec("-- vault write sys/unseal -");
    sim.fails_with_stdin(&unseal, "{\"key\":\"wrong\"}\n", 2, "failed to unseal");
    assert!(sim.run_with_stdin(&unseal, &format!("{{\"key\":\"{key}\"}}\n")).ok());
    assert_eq!(status(&mut sim), (true, false));
    sim.ok(&format!("{K} rollout status statefulset/vault --namespace vault --timeout 20s"));
    sim.fails_with_stdin(&read, "hvs.other\n", 2, "* permission denied");
    sim.fails_with_stdin(&read, &format!("{token}\n"), 2, "* No secret engine mount at secret/");
    sim.ok("multipass stop app1-cp");
    sim.ok("multipass start app1-cp");
    sim.advance(120);
    assert_eq!(status(&mut sim), (true, true));
    assert!(sim.run_with_stdin(&unseal, &format!("{{\"key\":\"{key}\"}}\n")).ok());
    sim.ok(&format!("{K} delete pod vault-0 --namespace vault"));
    sim.advance(60);
    assert_eq!(status(&mut sim), (true, true));
}

#[test]
fn vault_stores_secrets_only_below_a_mount() {
    let mut sim = vault();
    sim.advance(120);
    let init = "vault operator init -key-shares=1 -key-threshold=1 -format=json";
    let kept = "umask 077; INIT >/vault/data/a.new && mv /vault/data/a.new /vault/data/a && cat /vault/data/a";
    let answer = sim.ok(&exec(&format!("-- sh -c '{}'", kept.replace("INIT", init))));
    assert_eq!(sim.ok(&exec("-- cat /vault/data/a")), answer);
    sim.fails(&exec("-- test ! -e /vault/data/a"), 1, "exit code 1");
    sim.ok(&exec("-- rm -f /vault/data/a"));
    sim.ok(&exec("-- test ! -e /vault/data/a"));
    let keys: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let token = keys["root_token"].as_str().unwrap().to_owned();
    let key = format!("{{\"key\":{}}}\n", keys["unseal_keys_b64"][0]);
    assert!(sim.run_with_stdin(&exec("-- vault write sys/unseal -"), &key).ok());
    let write = |path: &str| script(&format!("exec vault write {path} -"));
    let sample = "{\"data\":{\"password\":\"x\"},\"options\":{\"cas\":0}}";
    let run_with_stdin = |body: &str| format!("{token}\n{body}\n");
    sim.fails_with_stdin(
        &write("secret/data/sample"),
        &run_with_stdin(sample),
        2,
        "no handler for route \"secret/data/sample\"",
    );
    let kv = run_with_stdin("{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    assert!(sim.run_with_stdin(&write("sys/mounts/secret"), &kv).ok());
    sim.fails_with_stdin(&write("sys/mounts/secret"), &kv, 2, "path is already in use at secret/");
    assert!(sim.run_with_stdin(&write("secret/data/sample"), &run_with_stdin(sample)).ok());
    sim.fails_with_stdin(
        &write("secret/data/sample"),
        &run_with_stdin(sample),
        2,
        "check-and-set parameter did not match",
    );
    let read = script("exec vault read -format=json secret/metadata/sample");
    assert!(sim.run_with_stdin(&read, &run_with_stdin("")).stdout.contains("\"current_version\":1"));
    sim.fails_with_stdin(
        &script("exec vault read -format=json auth/app1/role/x"),
        &run_with_stdin(""),
        2,
        "No value found at",
    );
    sim.fails_with_stdin(&script("rm -rf /"), &run_with_stdin(""), 127, "not found");
    assert_eq!(sim.world.unknown().len(), 1);
}

#[test]
fn a_pod_that_offends_is_refused_and_a_controller_only_warned_about() {
    let mut sim = fixture();
    let namespace = "{apiVersion: v1, kind: Namespace, \
        metadata: {name: a, labels: {pod-security.kubernetes.io/enforce: baseline}}}";
    assert!(sim.run_with_stdin(APPLY, namespace).ok());
    let spec = "{hostNetwork: true, containers: [{name: c, securityContext: {privileged: true}}]}";
    let pod = format!("{{apiVersion: v1, kind: Pod, metadata: {{name: priv, namespace: a}}, spec: {spec}}}");
    let words = "pods \"priv\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces \
        (hostNetwork=true), privileged (container \"c\" must not set securityContext.privileged=true)";
    sim.fails_with_stdin(APPLY, &pod, 1, words);
    sim.fails_with_stdin(&format!("{APPLY} --dry-run=server"), &pod, 1, words);
    let deployment = format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d, namespace: a}}, \
         spec: {{template: {{spec: {spec}}}}}}}"
    );
    let output = sim.run_with_stdin(APPLY, &deployment);
    assert!(output.ok() && output.stderr.starts_with("Warning: would violate PodSecurity \"baseline:latest\""));
    let events = sim.ok(&format!("{K} get events --namespace a --output json"));
    assert!(events.contains("FailedCreate"), "{events}");
    // After the label is right, the controller still sits out its back-off (measured: 85 s and more).
    sim.advance(600);
    sim.ok(&format!("{K} get events --namespace a"));
    sim.ok(&format!("{K} label namespace a pod-security.kubernetes.io/enforce=privileged"));
    let rollout = format!("{K} rollout status deployment/d --namespace a --timeout 60s");
    sim.fails(&rollout, 1, "timed out");
    sim.ok(&format!("{K} rollout restart deployment/d --namespace a"));
    sim.ok(&rollout);
}

fn with_image(image: &str, namespace: &str) -> String {
    let resources = "{requests: {cpu: 1m, memory: 1Mi}, limits: {memory: 1Mi}}";
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: {namespace}}}, \
         spec: {{containers: [{{name: c, image: '{image}', resources: {resources}}}]}}}}"
    )
}

#[test]
fn kyverno_denies_by_policy_within_the_scope_of_its_webhook() {
    let mut sim = fixture();
    sim.fails_with_stdin(APPLY, POLICIES, 1, "no matches for kind \"ValidatingPolicy\"");
    let excluded = "{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, kyverno]}";
    let values = format!("{{config: {{webhooks: {{namespaceSelector: {{matchExpressions: [{excluded}]}}}}}}}}");
    install(&mut sim, "kyverno", "https://kyverno.github.io/kyverno", "3.9.0", "kyverno", &values);
    assert!(sim.run_with_stdin(APPLY, POLICIES).ok());
    let dry = format!("{APPLY} --dry-run=server");
    let latest = with_image("docker.io/library/nginx:latest", "default");
    assert!(sim.run_with_stdin(&dry, &latest).ok());
    sim.advance(60);
    sim.fails_with_stdin(
        &dry,
        &latest,
        1,
        "Policy image-tags failed: every image needs a tag other than latest, or a digest",
    );
    assert!(sim.run_with_stdin(&dry, &with_image("docker.io/library/nginx:1.29", "default")).ok());
    assert!(sim.run_with_stdin(&dry, &with_image("docker.io/library/nginx:latest", "kube-system")).ok());
    sim.fails_with_stdin(
        &dry,
        &with_image("nginx:1.29", "default"),
        1,
        "Policy image-registries failed: every image must",
    );
    let bare = with_image("docker.io/library/nginx:1.29", "default").replace("limits", "other");
    sim.fails_with_stdin(&dry, &bare, 1, "Policy resources failed: every container must set resources.limits.memory");
    let tags = POLICIES.split("---").next().expect("the first policy");
    let around = [
        ("spec:\n", "spec:\n  evaluation: {admission: {enabled: false}}\n"),
        ("spec:\n", "spec:\n  matchConditions: [{name: never, expression: 'false'}]\n"),
        ("matchConstraints:\n", "matchConstraints:\n    namespaceSelector: {matchLabels: {team: a}}\n"),
        ("          - pods\n", "          - services\n"),
    ];
    for (from, to) in around {
        let policy = tags.replace("  evaluation:\n    background:\n      enabled: false\n", "").replacen(from, to, 1);
        assert!(sim.run_with_stdin(APPLY, &policy).ok(), "{to}");
        assert!(sim.run_with_stdin(&dry, &latest).ok(), "{to}");
        sim.ok(&format!("{K} delete validatingpolicies.policies.kyverno.io image-tags"));
    }
    assert!(sim.run_with_stdin(APPLY, POLICIES).ok());
    let older = "{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: old}, spec: {rules: [{name: a, \
        match: {any: [{resources: {kinds: [Pod]}}]}, validate: {failureAction: Enforce, pattern: {}}}]}}";
    assert!(sim.run_with_stdin(APPLY, &older.replace("Enforce", "Audit")).ok());
    let good = with_image("docker.io/library/nginx:1.29", "default");
    assert!(sim.run_with_stdin(&dry, &good).ok());
    assert!(sim.run_with_stdin(APPLY, older).ok());
    sim.fails_with_stdin(&dry, &good, 1, "Policy old failed");
    sim.ok(&format!("{K} delete clusterpolicies.kyverno.io old"));
    sim.ok(&format!("{K} rollout restart deployment/kyverno-admission-controller --namespace kyverno"));
    let words = "failed calling webhook \"vpol.validate.kyverno.svc-fail\"";
    sim.fails_with_stdin(&dry, &with_image("docker.io/library/nginx:1.29", "default"), 1, words);
    sim.ok("helm uninstall kyverno --namespace kyverno --kubeconfig app1.yaml");
    assert!(sim.run_with_stdin(&dry, &latest).ok());
}

#[test]
fn kinds_of_kubernetes_and_of_installed_charts_are_served() {
    let mut sim = fixture();
    for (version, kind) in [
        ("v1", "LimitRange"),
        ("v1", "ResourceQuota"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("networking.k8s.io/v1", "Ingress"),
        ("scheduling.k8s.io/v1", "PriorityClass"),
        ("apiregistration.k8s.io/v1", "APIService"),
    ] {
        let object = format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: x}}}}");
        sim.fails_with_stdin(APPLY, &object, 0, "");
        sim.ok(&format!("{K} get {} x --output json", kind.to_lowercase()));
    }
    let events = format!("{K} get events --output name");
    sim.ok(&events);
    let exception = "{apiVersion: kyverno.io/v2, kind: PolicyException, metadata: {name: x, namespace: default}}";
    sim.fails_with_stdin(APPLY, exception, 1, "no matches for kind \"PolicyException\" in version \"kyverno.io/v2\"");
    install(&mut sim, "kyverno", "https://kyverno.github.io/kyverno", "3.9.0", "kyverno", "{}");
    sim.fails_with_stdin(APPLY, exception, 0, "");
    let off = "{crds: {createPushSecret: false}}";
    install(&mut sim, "external-secrets", "https://charts.external-secrets.io", "2.9.0", "external-secrets", off);
    let object = |version: &str, kind: &str| {
        format!(
            "{{apiVersion: external-secrets.io/{version}, kind: {kind}, metadata: {{name: x, namespace: default}}}}"
        )
    };
    sim.fails_with_stdin(APPLY, &object("v1", "ExternalSecret"), 0, "");
    sim.fails_with_stdin(APPLY, &object("v1beta1", "ExternalSecret"), 1, "no matches for kind");
    sim.fails_with_stdin(APPLY, &object("v1alpha1", "PushSecret"), 1, "no matches for kind");
}

#[test]
fn a_token_is_filled_in_for_an_account_that_is_there() {
    let mut sim = Fixture::with_control_plane();
    let secret = "{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: t, \
        namespace: default, annotations: {kubernetes.io/service-account.name: robot}}}";
    let get = format!("{K} get secret t --namespace default --output 'go-template={{{{.data.token | base64decode}}}}'");
    sim.fails(&get, 1, "NotFound");
    assert!(sim.run_with_stdin(APPLY, secret).ok());
    sim.fails(&get, 1, "error executing template");
    let account = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot, namespace: default}}";
    assert!(sim.run_with_stdin(APPLY, account).ok());
    let token = sim.ok(&get);
    assert!(token.starts_with("eyJ") && token.split('.').count() == 3 && !token.ends_with('\n'), "{token}");
    assert!(sim.run_with_stdin(APPLY, secret).ok());
    assert_eq!(sim.ok(&get), token);
    assert!(sim.run_with_stdin(&APPLY.replace("apply", "diff"), secret).ok());
}

#[test]
fn claims_of_a_stateful_set_outlive_its_release() {
    let mut sim = vault();
    sim.fails_with_stdin(APPLY, CLASS, 0, "");
    sim.advance(120);
    sim.ok("helm uninstall vault --namespace vault --kubeconfig app1.yaml");
    let claims = format!("{K} get pvc --namespace vault --output name");
    assert_eq!(sim.ok(&claims), "persistentvolumeclaim/data-vault-0\n");
    sim.fails(&exec(STATUS), 1, "pods \"vault-0\" not found");
}

#[test]
fn docker_runs_the_services_of_the_compose_file() {
    let mut sim = Fixture::new();
    assert!(sim.ok("docker version --format json").contains("Server"));
    assert_eq!(sim.ok("docker compose version --short"), "2.39.1\n");
    let ps = "docker compose --file infra/docker/compose.yaml ps --services --status running";
    assert_eq!(sim.ok(ps), "");
    sim.ok("docker compose --file infra/docker/compose.yaml up --detach --wait --wait-timeout 600 nexus");
    assert_eq!(sim.ok(ps), "nexus\n");
    sim.fails("docker frob", 1, "unknown docker command");
}
