//! The keys that kubeadm v1.35.0 (`kubeadm.k8s.io/v1beta4`) and the kubelet v0.35.7 (`kubelet.config.k8s.io/v1beta1`)
//! declare, type by type. Knows nothing of what a value may be.

/// Keys of each type: `key` for a plain value, `key:Type` for a value (or a list of values) of another type here.
pub const TYPES: &[(&str, &str)] = &[
    ("APIEndpoint", "advertiseAddress bindPort"),
    ("APIServer", "certSANs extraArgs:Arg extraEnvs:EnvVar extraVolumes:HostPathMount"),
    ("Arg", "name value"),
    ("BootstrapToken", "description expires groups token ttl usages"),
    ("BootstrapTokenDiscovery", "apiServerEndpoint caCertHashes token unsafeSkipCAVerification"),
    (
        "ClusterConfiguration",
        "apiServer:APIServer apiVersion caCertificateValidityPeriod certificateValidityPeriod \
         certificatesDir clusterName controlPlaneEndpoint controllerManager:ControlPlaneComponent dns:DNS \
         encryptionAlgorithm etcd:Etcd featureGates imageRepository kind kubernetesVersion \
         networking:Networking proxy:Proxy scheduler:ControlPlaneComponent",
    ),
    ("ControlPlaneComponent", "extraArgs:Arg extraEnvs:EnvVar extraVolumes:HostPathMount"),
    ("DNS", "disabled imageRepository imageTag"),
    ("Discovery", "bootstrapToken:BootstrapTokenDiscovery file:FileDiscovery tlsBootstrapToken"),
    ("EnvVar", "name value valueFrom"),
    ("Etcd", "external:ExternalEtcd local:LocalEtcd"),
    ("ExternalEtcd", "caFile certFile endpoints httpEndpoints keyFile"),
    ("FileDiscovery", "kubeConfigPath"),
    ("HostPathMount", "hostPath mountPath name pathType readOnly"),
    (
        "InitConfiguration",
        "apiVersion bootstrapTokens:BootstrapToken certificateKey dryRun kind \
         localAPIEndpoint:APIEndpoint nodeRegistration:NodeRegistrationOptions patches:Patches skipPhases \
         timeouts:Timeouts",
    ),
    (
        "JoinConfiguration",
        "apiVersion caCertPath controlPlane:JoinControlPlane discovery:Discovery dryRun kind \
         nodeRegistration:NodeRegistrationOptions patches:Patches skipPhases timeouts:Timeouts",
    ),
    ("JoinControlPlane", "certificateKey localAPIEndpoint:APIEndpoint"),
    ("LocalEtcd", "dataDir extraArgs:Arg extraEnvs:EnvVar imageRepository imageTag peerCertSANs serverCertSANs"),
    ("Networking", "dnsDomain podSubnet serviceSubnet"),
    (
        "NodeRegistrationOptions",
        "criSocket ignorePreflightErrors imagePullPolicy imagePullSerial kubeletExtraArgs:Arg name \
         taints:Taint",
    ),
    ("Patches", "directory"),
    ("Proxy", "disabled"),
    ("Taint", "effect key timeAdded value"),
    (
        "Timeouts",
        "controlPlaneComponentHealthCheck discovery etcdAPICall kubeletHealthCheck kubernetesAPICall \
         tlsBootstrap upgradeManifests",
    ),
    ("CrashLoopBackOffConfig", "maxContainerRestartPeriod"),
    ("KubeletAnonymousAuthentication", "enabled"),
    (
        "KubeletAuthentication",
        "anonymous:KubeletAnonymousAuthentication webhook:KubeletWebhookAuthentication \
         x509:KubeletX509Authentication",
    ),
    ("KubeletAuthorization", "mode webhook:KubeletWebhookAuthorization"),
    (
        "KubeletConfiguration",
        "address allowedUnsafeSysctls apiVersion authentication:KubeletAuthentication \
         authorization:KubeletAuthorization cgroupDriver cgroupRoot cgroupsPerQOS clusterDNS \
         clusterDomain configMapAndSecretChangeDetectionStrategy containerLogMaxFiles containerLogMaxSize \
         containerLogMaxWorkers containerLogMonitorInterval containerRuntimeEndpoint contentType \
         cpuCFSQuota cpuCFSQuotaPeriod cpuManagerPolicy cpuManagerPolicyOptions cpuManagerReconcilePeriod \
         crashLoopBackOff:CrashLoopBackOffConfig enableContentionProfiling enableControllerAttachDetach \
         enableDebugFlagsHandler enableDebuggingHandlers enableProfilingHandler enableServer \
         enableSystemLogHandler enableSystemLogQuery enforceNodeAllocatable eventBurst eventRecordQPS \
         evictionHard evictionMaxPodGracePeriod evictionMinimumReclaim evictionPressureTransitionPeriod \
         evictionSoft evictionSoftGracePeriod failCgroupV1 failSwapOn featureGates fileCheckFrequency \
         hairpinMode healthzBindAddress healthzPort httpCheckFrequency imageGCHighThresholdPercent \
         imageGCLowThresholdPercent imageMaximumGCAge imageMinimumGCAge \
         imagePullCredentialsVerificationPolicy imageServiceEndpoint iptablesDropBit \
         iptablesMasqueradeBit kernelMemcgNotification kind kubeAPIBurst kubeAPIQPS kubeReserved \
         kubeReservedCgroup kubeletCgroups localStorageCapacityIsolation logging makeIPTablesUtilChains \
         maxOpenFiles maxParallelImagePulls maxPods memoryManagerPolicy \
         memorySwap:MemorySwapConfiguration memoryThrottlingFactor mergeDefaultEvictionSettings \
         nodeLeaseDurationSeconds nodeStatusMaxImages nodeStatusReportFrequency nodeStatusUpdateFrequency \
         oomScoreAdj podCIDR podLogsDir podPidsLimit podsPerCore port \
         preloadedImagesVerificationAllowlist protectKernelDefaults providerID qosReserved readOnlyPort \
         registerNode registerWithTaints:Taint registryBurst registryPullQPS \
         reservedMemory:MemoryReservation reservedSystemCPUs resolvConf rotateCertificates runOnce \
         runtimeRequestTimeout seccompDefault serializeImagePulls serverTLSBootstrap \
         showHiddenMetricsForVersion shutdownGracePeriod \
         shutdownGracePeriodByPodPriority:ShutdownGracePeriodByPodPriority \
         shutdownGracePeriodCriticalPods singleProcessOOMKill staticPodPath staticPodURL \
         staticPodURLHeader streamingConnectionIdleTimeout syncFrequency systemCgroups systemReserved \
         systemReservedCgroup tlsCertFile tlsCipherSuites tlsMinVersion tlsPrivateKeyFile \
         topologyManagerPolicy topologyManagerPolicyOptions topologyManagerScope tracing \
         userNamespaces:UserNamespaces volumePluginDir volumeStatsAggPeriod",
    ),
    ("KubeletWebhookAuthentication", "cacheTTL enabled"),
    ("KubeletWebhookAuthorization", "cacheAuthorizedTTL cacheUnauthorizedTTL"),
    ("KubeletX509Authentication", "clientCAFile"),
    ("MemoryReservation", "limits numaNode"),
    ("MemorySwapConfiguration", "swapBehavior"),
    ("ShutdownGracePeriodByPodPriority", "priority shutdownGracePeriodSeconds"),
    ("Taint", "effect key timeAdded value"),
    ("UserNamespaces", "idsPerPod"),
];
