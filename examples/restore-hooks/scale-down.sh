#!/bin/sh
# Before a restore: tell users, then stop what writes to the database.
set -eu
: "${NAMESPACE:?}" "${DEPLOYMENT:?}" "${CONFIGMAP:?}"

# How many there were is kept where scale-up.sh finds it, also from another machine. When
# an earlier hook was killed it is there already, and 0 now is not what there were.
replicas=$(kubectl --namespace "$NAMESPACE" get deployment "$DEPLOYMENT" --output 'jsonpath={.spec.replicas}')
if [ "$replicas" -gt 0 ]; then
  kubectl --namespace "$NAMESPACE" annotate deployment "$DEPLOYMENT" --overwrite "pgbackup-replicas=$replicas"
fi

kubectl --namespace "$NAMESPACE" patch configmap "$CONFIGMAP" --type merge \
  --patch "{\"data\":{\"MAINTENANCE\":\"The database is being restored to $PGBACKUP_POINT_TIME.\"}}"
kubectl --namespace "$NAMESPACE" scale deployment "$DEPLOYMENT" --replicas 0
# Scaled is not gone: until its pods are, they write.
kubectl --namespace "$NAMESPACE" wait pod --selector "${SELECTOR:-app=$DEPLOYMENT}" --for delete --timeout 2m
