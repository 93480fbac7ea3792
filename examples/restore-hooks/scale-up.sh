#!/bin/sh
# After a restore, whatever became of it: as many as there were, and no notice.
set -eu
: "${NAMESPACE:?}" "${DEPLOYMENT:?}" "${CONFIGMAP:?}"

replicas=$(kubectl --namespace "$NAMESPACE" get deployment "$DEPLOYMENT" --output 'jsonpath={.metadata.annotations.pgbackup-replicas}')
kubectl --namespace "$NAMESPACE" scale deployment "$DEPLOYMENT" --replicas "${replicas:-1}"
kubectl --namespace "$NAMESPACE" rollout status deployment "$DEPLOYMENT" --timeout 2m
kubectl --namespace "$NAMESPACE" patch configmap "$CONFIGMAP" --type merge --patch '{"data":{"MAINTENANCE":null}}'
kubectl --namespace "$NAMESPACE" annotate deployment "$DEPLOYMENT" pgbackup-replicas-

echo "The restore of $PGBACKUP_DATABASE is $PGBACKUP_OUTCOME; $replicas replicas of $DEPLOYMENT serve again."
