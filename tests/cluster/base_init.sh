#!/bin/bash
# What every host has on top of this machine: sshd, rsync, sudo, PostgreSQL, a user, and an environment of Python that
# takes all packages of this clone's own and adds an S3 server and psycopg. Nothing is written to this machine itself.
# Runs in a mount namespace. Arguments: folder of the base layer, the clone's environment, packages of Debian, of Python.
set -eu
base=$1 venv=$2 debian=$3 python=$4
mkdir -p "$base"/{upper,work,root}
mount -t overlay overlay -o lowerdir=/,upperdir="$base/upper",workdir="$base/work" "$base/root"
for kind in proc sys dev; do mount --rbind /$kind "$base/root/$kind"; done
if [ "${venv#/tmp/}" != "$venv" ]; then mkdir -p "$base/root$venv"; mount --bind "$venv" "$base/root$venv"; fi
cat > "$base/root/tmp/base.sh" <<'END'
set -eu
export DEBIAN_FRONTEND=noninteractive HOME=/root LC_ALL=C
apt-get update -qq
apt-get install -y -qq --no-install-recommends $DEBIAN > /tmp/apt.log 2>&1 || { tail -n 20 /tmp/apt.log; exit 1; }
useradd -m -u 1500 -s /bin/bash ubuntu; useradd -m -u 1501 -s /bin/bash other
echo "ubuntu ALL=(ALL) NOPASSWD:ALL" > /etc/sudoers.d/ubuntu
for user in ubuntu other; do
    there=/home/$user/raysweep-venv
    "$VENV/bin/python" -m venv $there
    site=$($there/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    "$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $site/packages_of_the_clone.pth
    for script in "$VENV"/bin/*; do
        if [ ! -e $there/bin/${script##*/} ] && head -c 2 "$script" | grep -q '#!'; then
            sed "1s|^#!.*python.*|#!$there/bin/python|" "$script" > $there/bin/${script##*/}
            chmod 755 $there/bin/${script##*/}
        fi
    done
    $there/bin/python -m pip uninstall -q -y setuptools  # the clone has a newer one
    [ $user = ubuntu ] && $there/bin/python -m pip install -q --disable-pip-version-check $PYTHON_PACKAGES
    mkdir -p /home/$user/.config/pip  # hosts reach no index: `pip install --editable` takes what is there
    printf '[global]\nno-index = true\n[install]\nno-build-isolation = false\n' > /home/$user/.config/pip/pip.conf
    mkdir -p -m 700 /home/$user/.ssh; chown -R $user: /home/$user
done
ssh-keygen -A > /dev/null
END
DEBIAN=$debian VENV=$venv PYTHON_PACKAGES=$python chroot "$base/root" bash /tmp/base.sh
rm "$base/root/tmp/base.sh"
